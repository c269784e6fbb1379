#include "controller/citus/node_queries.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/citus/sql_text.h"

namespace trunkload {
namespace {

// As far as connections, memory, durability and Citus' executor go.
constexpr const char* kSettings[] = {
    "citus.distributed_deadlock_detection_factor",
    "citus.enable_stat_counters",
    "citus.executor_slow_start_interval",
    "citus.local_shared_pool_size",
    "citus.max_adaptive_executor_pool_size",
    "citus.max_cached_connection_lifetime",
    "citus.max_cached_conns_per_worker",
    "citus.max_client_connections",
    "citus.max_shared_pool_size",
    "citus.multi_shard_modify_mode",
    "citus.node_conninfo",
    "citus.recover_2pc_interval",
    "citus.shard_count",
    "citus.shard_replication_factor",
    "citus.stat_statements_track",
    "citus.stat_tenants_track",
    "fsync",
    "full_page_writes",
    "max_connections",
    "max_prepared_transactions",
    "max_wal_size",
    "server_version",
    "shared_buffers",
    "shared_preload_libraries",
    "synchronous_commit",
    "wal_level",
    "work_mem",
};

// Those of the node, by name, with their places in `relations`.
std::string NodeRelations(const std::vector<v1::Relation>& relations, uint32_t node) {
  std::vector<std::string> names;
  std::vector<size_t> places;
  for (size_t i = 0; i < relations.size(); ++i) {
    if (relations[i].node() != node) continue;
    names.push_back(SqlLiteral(relations[i].name()));
    places.push_back(i);
  }
  return absl::StrCat("ROWS FROM (pg_catalog.unnest(ARRAY[", absl::StrJoin(names, ", "),
                      "]::text[]), pg_catalog.unnest(ARRAY[", absl::StrJoin(places, ", "), "]::int[]))");
}

// A statement without its literals and without numbers of shards, so that those of one kind are one.
std::string Shortened(const std::string& query) {
  return absl::StrCat(
      "pg_catalog.left(pg_catalog.regexp_replace(pg_catalog.regexp_replace(", query,
      R"sql(, '''([^'']|'''')*''|(?<![$])\m[0-9]+(\.[0-9]+)?\M', '?', 'g'), '_[0-9]{6,}\M', '', 'g'), 300))sql");
}

// Statements that neither the observer asks, nor Citus of itself.
constexpr char kOfTheLoad[] = R"( NOT LIKE '%pg\_catalog.%')";

}  // namespace

std::string SettingsQuery() {
  std::vector<std::string> names;
  for (const char* name : kSettings) names.push_back(SqlLiteral(name));
  // The view leaves out what the role may not see.
  return absl::StrCat(
      "SELECT pg_catalog.json_build_object('settings', pg_catalog.json_object_agg(name, "
      "pg_catalog.current_setting(name))) FROM pg_catalog.pg_settings WHERE name IN (",
      absl::StrJoin(names, ", "), ")");
}

std::string SampleQuery(const ServerObjects& objects, const std::vector<v1::Relation>& relations,
                        uint32_t node) {
  std::string citus = "NULL::json";
  if (objects.counters) {
    citus = R"sql((SELECT pg_catalog.json_build_object(
      'single_shard', c.query_execution_single_shard, 'multi_shard', c.query_execution_multi_shard,
      'connections_made', c.connection_establishment_succeeded, 'connections_reused', c.connection_reused,
      'connections_failed', c.connection_establishment_failed)
    FROM pg_catalog.citus_stat_counters c
    WHERE c.name = pg_catalog.current_database()
      AND pg_catalog.current_setting('citus.enable_stat_counters') = 'on'))sql";
  }
  std::string of_relations = "'[]'::json";
  if (!relations.empty()) {
    of_relations = absl::StrCat(
        R"sql((SELECT coalesce(pg_catalog.json_agg(pg_catalog.row_to_json(r)), '[]'::json) FROM (
    SELECT n.place AS relation, pg_catalog.pg_stat_get_tuples_inserted(c) AS rows_inserted,
           pg_catalog.pg_stat_get_tuples_updated(c) AS rows_updated, pg_catalog.pg_stat_get_tuples_deleted(c) AS rows_deleted,
           pg_catalog.pg_stat_get_numscans(c) + coalesce((SELECT pg_catalog.sum(pg_catalog.pg_stat_get_numscans(indexrelid))
             FROM pg_catalog.pg_index WHERE indrelid = c), 0)::bigint AS scans,
           pg_catalog.pg_total_relation_size(c) AS bytes
    FROM )sql",
        NodeRelations(relations, node),
        R"sql( AS n(name, place), LATERAL pg_catalog.to_regclass(n.name) c WHERE c IS NOT NULL) r))sql");
  }
  return absl::StrCat(
      R"sql(SELECT pg_catalog.json_build_object('sample', pg_catalog.row_to_json(s), 'relations', )sql",
      of_relations, R"sql() FROM (
  SELECT d.xact_commit AS committed, d.xact_rollback AS rolled_back, d.tup_inserted AS rows_inserted,
         d.tup_updated AS rows_updated, d.tup_deleted AS rows_deleted, d.tup_returned AS rows_read,
         d.blks_hit AS blocks_hit, d.blks_read AS blocks_read, d.temp_bytes AS temporary_bytes, d.deadlocks,
         pg_catalog.pg_wal_lsn_diff(w.lsn, '0/0')::bigint AS wal_bytes, a.*,
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts
          WHERE gid LIKE 'citus\_%' AND database = pg_catalog.current_database()) AS prepared_transactions,
         (SELECT greatest(coalesce(pg_catalog.max(pg_catalog.pg_wal_lsn_diff(w.lsn, replay_lsn)), 0), 0)::bigint
          FROM pg_catalog.pg_stat_replication) AS replication_lag_bytes,
         )sql",
      citus, R"sql( AS citus
  FROM pg_catalog.pg_stat_database d,
       (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                    ELSE pg_catalog.pg_current_wal_lsn() END) w(lsn),
       (SELECT coalesce(pg_catalog.sum(g.count), 0)::bigint AS connections,
               coalesce(pg_catalog.sum(g.count) FILTER (WHERE g.state = 'active'), 0)::bigint AS active,
               coalesce(pg_catalog.sum(g.waiting), 0)::bigint AS waiting_for_locks,
               coalesce(pg_catalog.sum(g.count) FILTER (WHERE g.application LIKE ')sql",
      kAgentName, R"sql(%'), 0)::bigint AS from_agents,
               coalesce(pg_catalog.sum(g.count) FILTER (WHERE g.application LIKE 'citus\_%'), 0)::bigint AS from_nodes,
               coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
                 'application', g.application, 'state', g.state, 'count', g.count)), '[]'::json) AS groups
        FROM (SELECT CASE WHEN application_name LIKE 'citus\_%' THEN pg_catalog.split_part(application_name, ' ', 1)
                          ELSE coalesce(application_name, '?') END AS application,
                     coalesce(state, '?') AS state, pg_catalog.count(*) AS count,
                     pg_catalog.count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting
              FROM pg_catalog.pg_stat_activity
              WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
                AND datname = pg_catalog.current_database() AND application_name IS DISTINCT FROM ')sql",
      kObserverName, R"sql('
                AND coalesce(application_name, '') NOT LIKE 'citus\_run\_command%' GROUP BY 1, 2) g) a
  WHERE d.datname = pg_catalog.current_database()) s)sql");
}

std::string WaitsQuery() {
  return RowsAs(
      "waits",
      absl::StrCat("SELECT ", Shortened("w.query"), " AS waiting, coalesce(", Shortened("b.query"),
                   R"sql( || CASE WHEN b.state LIKE 'idle%' THEN ' (idle in its transaction)' ELSE '' END,
                  'a prepared transaction') AS blocking, pg_catalog.count(*) AS seen
  FROM pg_catalog.pg_stat_activity w, LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) p(pid)
       LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = p.pid
  WHERE w.wait_event_type = 'Lock' AND w.datname = pg_catalog.current_database()
  GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20)sql"));
}

std::string ThroughCoordinator(const v1::DatabaseNode& node, const std::string& query) {
  const size_t colon = node.name().rfind(':');
  // The function behind run_command_on_workers, which would ask all of them.
  return absl::StrCat("SELECT result FROM pg_catalog.master_run_on_worker(ARRAY[",
                      SqlLiteral(node.name().substr(0, colon)), "]::text[], ARRAY[",
                      colon == std::string::npos ? "0" : node.name().substr(colon + 1), "]::int[], ARRAY[",
                      SqlLiteral(query), "]::text[], false) WHERE success");
}

std::string CountQuery(const std::vector<v1::Relation>& relations, uint32_t node) {
  std::vector<std::string> counts;
  for (size_t i = 0; i < relations.size(); ++i) {
    if (relations[i].node() != node) continue;
    counts.push_back(absl::StrCat("SELECT ", i, ", pg_catalog.count(*) FROM ", relations[i].name()));
  }
  if (counts.empty()) return "SELECT '{}'";
  return absl::StrCat(
      "SELECT pg_catalog.json_build_object('rows', pg_catalog.json_object_agg(n.place, n.rows)) FROM (",
      absl::StrJoin(counts, " UNION ALL "), ") n(place, rows)");
}

std::string StatementsSchemaQuery() {
  return "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e JOIN "
         "pg_catalog.pg_namespace n "
         "ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
}

std::string StatementsQuery(const std::string& schema) {
  return RowsAs("statements", absl::StrCat("SELECT ", Shortened("s.query"), R"sql( AS query,
         pg_catalog.sum(s.calls)::bigint AS calls, pg_catalog.sum(s.rows)::bigint AS rows,
         pg_catalog.sum(s.total_exec_time) * 1000 AS total_us
  FROM )sql",
                                           schema, R"sql(.pg_stat_statements s
       JOIN pg_catalog.pg_database d ON d.oid = s.dbid
  WHERE d.datname = pg_catalog.current_database() AND s.query)sql",
                                           kOfTheLoad, " GROUP BY 1 ORDER BY 4 DESC LIMIT 200"));
}

std::string RoutesQuery() {
  return RowsAs("routes", absl::StrCat("SELECT ", Shortened("s.query"), R"sql( AS query, s.executor,
         pg_catalog.sum(s.calls)::bigint AS calls, pg_catalog.count(DISTINCT s.partition_key) AS keys
  FROM pg_catalog.citus_stat_statements s JOIN pg_catalog.pg_database d ON d.oid = s.dbid
  WHERE d.datname = pg_catalog.current_database() AND s.query)sql",
                                       kOfTheLoad, " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 200"));
}

std::string TenantsQuery() {
  return RowsAs("tenants", R"sql(
  SELECT t.tenant_attribute AS tenant,
         t.query_count_in_this_period::bigint + t.query_count_in_last_period AS queries,
         t.cpu_usage_in_this_period + t.cpu_usage_in_last_period AS cpu_s
  FROM pg_catalog.citus_stat_tenants_local t ORDER BY 3 DESC, 2 DESC LIMIT 20)sql");
}

}  // namespace trunkload
