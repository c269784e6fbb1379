#include "tests/support/wire_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <cstring>
#include <memory>

namespace trunkload {
namespace {

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Database = std::unique_ptr<PGconn, Finish>;

std::unique_ptr<WireServer> Serve(const WireServerOptions& options = {}) {
  auto server = WireServer::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

Database Connect(const WireServer& server) {
  return Database(PQconnectdb(server.conninfo().c_str()));
}

// What the statement got: its tag, or its SQLSTATE.
std::string Execute(const Database& database, const char* sql) {
  PGresult* const result = PQexec(database.get(), sql);
  const char* const sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  std::string got = sqlstate != nullptr ? sqlstate : PQcmdStatus(result);
  PQclear(result);
  return got;
}

TEST(WireAnswerTest, CountsTheGroupsOfValues) {
  EXPECT_EQ(AnswerTo("INSERT INTO users (id, name) VALUES ($1, $2)").rows, 1u);
  EXPECT_EQ(AnswerTo("insert into users (id) values ($1), (abs($2)), ($3) ON CONFLICT (id) DO NOTHING").rows,
            3u);
  EXPECT_EQ(AnswerTo("INSERT INTO t VALUES ('),(', ')'), ('values', $12)").rows, 2u);
  EXPECT_EQ(AnswerTo("INSERT INTO t VALUES ('),(', ')'), ('values', $12)").parameters, 12);
}

TEST(WireServerTest, AnswersWhatClientsSend) {
  const auto server = Serve();
  const Database database = Connect(*server);
  ASSERT_EQ(PQstatus(database.get()), CONNECTION_OK) << PQerrorMessage(database.get());
  EXPECT_EQ(Execute(database, "SELECT 1"), "SELECT 1");
  EXPECT_EQ(Execute(database, "SELECT extversion FROM pg_extension"), "SELECT 0");
  EXPECT_EQ(Execute(database, "BEGIN"), "BEGIN");
  EXPECT_EQ(PQtransactionStatus(database.get()), PQTRANS_INTRANS);
  EXPECT_EQ(Execute(database, "INSERT INTO t VALUES (1), (2); COMMIT"), "COMMIT");
  EXPECT_EQ(PQtransactionStatus(database.get()), PQTRANS_IDLE);
  EXPECT_EQ(server->counts().rows, 2u);
}

TEST(WireServerTest, ExecutesPreparedStatements) {
  const auto server = Serve();
  const Database database = Connect(*server);
  PQclear(PQprepare(database.get(), "insert", "INSERT INTO t VALUES ($1), ($2), ($3)", 3, nullptr));
  const char* const values[] = {"1", "2", "3"};
  for (int i = 0; i < 3; ++i) {
    PGresult* const result = PQexecPrepared(database.get(), "insert", 3, values, nullptr, nullptr, 0);
    EXPECT_STREQ(PQcmdStatus(result), "INSERT 0 3") << PQerrorMessage(database.get());
    PQclear(result);
  }
  EXPECT_EQ(server->counts().rows, 9u);
  EXPECT_EQ(server->counts().statements, 3u);
  PGresult* const missing = PQexecPrepared(database.get(), "other", 0, nullptr, nullptr, nullptr, 0);
  EXPECT_STREQ(PQresultErrorField(missing, PG_DIAG_SQLSTATE), "26000");
  PQclear(missing);
}

TEST(WireServerTest, CountsTheRowsOfACopy) {
  const auto server = Serve();
  const Database database = Connect(*server);
  PQclear(PQexec(database.get(), "COPY t (id) FROM STDIN"));
  EXPECT_EQ(PQputCopyData(database.get(), "1\n2", 3), 1);
  EXPECT_EQ(PQputCopyData(database.get(), "0\n3\n", 4), 1);
  EXPECT_EQ(PQputCopyEnd(database.get(), nullptr), 1);
  PGresult* const result = PQgetResult(database.get());
  EXPECT_STREQ(PQcmdStatus(result), "COPY 3");
  PQclear(result);
  EXPECT_EQ(PQgetResult(database.get()), nullptr);
  EXPECT_EQ(Execute(database, "SELECT 7"), "SELECT 1");
}

TEST(WireServerTest, FailsEveryNthStatement) {
  WireServerOptions options;
  options.error_sqlstate = "23505";
  options.error_every = 3;
  const auto server = Serve(options);
  const Database database = Connect(*server);
  std::string failed;
  for (int i = 0; i < 9; ++i) failed += Execute(database, "INSERT INTO t VALUES (1)") == "23505" ? 'x' : '.';
  EXPECT_EQ(failed, "..x..x..x");
  EXPECT_EQ(server->counts().rows, 6u);
  EXPECT_EQ(server->counts().errors, 3u);
}

TEST(WireServerTest, RefusesWhomItShould) {
  WireServerOptions options;
  options.password = "right";
  options.max_connections = 1;
  const auto server = Serve(options);
  const Database first = Connect(*server);
  EXPECT_EQ(PQstatus(first.get()), CONNECTION_OK) << PQerrorMessage(first.get());
  const Database second = Connect(*server);
  EXPECT_THAT(PQerrorMessage(second.get()), testing::HasSubstr("too many clients"));
  const Database third(PQconnectdb((server->conninfo() + " password=wrong").c_str()));
  EXPECT_EQ(PQstatus(third.get()), CONNECTION_BAD);
}

TEST(WireServerTest, RefusesToPrepare) {
  const auto server = Serve({.prepare_sqlstate = "42P01"});
  const Database database = Connect(*server);
  PGresult* const result = PQprepare(database.get(), "insert", "INSERT INTO t VALUES ($1)", 1, nullptr);
  EXPECT_STREQ(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42P01");
  PQclear(result);
  EXPECT_EQ(Execute(database, "SELECT 1"), "SELECT 1");
}

TEST(WireServerTest, SendsNoticesAndInPieces) {
  const auto server = Serve({.notice_bytes = 1'000, .piece_bytes = 300});
  const Database database = Connect(*server);
  size_t noticed = 0;
  PQsetNoticeReceiver(
      database.get(),
      [](void* noticed, const PGresult* notice) {
        *static_cast<size_t*>(noticed) += std::strlen(PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY));
      },
      &noticed);
  EXPECT_EQ(Execute(database, "SELECT 1"), "SELECT 1");
  EXPECT_EQ(noticed, 0u);
  EXPECT_EQ(Execute(database, "INSERT INTO t VALUES (1)"), "INSERT 0 1");
  EXPECT_EQ(noticed, 1'000u);
}

TEST(WireServerTest, EndsASessionWithItsLastAnswer) {
  const auto server = Serve({.statements_per_session = 2});
  const Database database = Connect(*server);
  EXPECT_EQ(Execute(database, "INSERT INTO t VALUES (1)"), "INSERT 0 1");
  EXPECT_EQ(Execute(database, "INSERT INTO t VALUES (1)"), "INSERT 0 1");
  Execute(database, "INSERT INTO t VALUES (1)");
  EXPECT_EQ(PQstatus(database.get()), CONNECTION_BAD);
  EXPECT_EQ(server->counts().rows, 2u);
  EXPECT_EQ(server->counts().sessions, 1u);
}

TEST(WireServerTest, BreaksConnectionsAndTakesNewOnes) {
  const auto server = Serve();
  const Database first = Connect(*server);
  server->BreakConnections();
  // The server's thread may not have come round to it at the first statements.
  while (PQstatus(first.get()) == CONNECTION_OK) Execute(first, "SELECT 1");
  const Database second = Connect(*server);
  EXPECT_EQ(Execute(second, "SELECT 1"), "SELECT 1");
}

}  // namespace
}  // namespace trunkload
