#include "controller/doorkeeper.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

class Connection {
 public:
  explicit Connection(int port, uint32_t from = INADDR_LOOPBACK)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(from)}, .sin_zero = {}};
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Within a time that is long enough wherever it is to be so.
  bool Closed(int within_ms) const {
    pollfd waiting{fd_, POLLIN | POLLRDHUP, 0};
    char byte;
    return poll(&waiting, 1, within_ms) > 0 && recv(fd_, &byte, 1, MSG_PEEK) <= 0;
  }
  std::string peer() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return absl::StrCat("ipv4:127.0.0.1:", ntohs(address.sin_port));
  }

 private:
  const int fd_;
};

class DoorkeeperTest : public ::testing::Test {
 protected:
  ~DoorkeeperTest() override {
    door_.reset();
    for (const int fd : accepted_) close(fd);
  }

  void Open(const Doorkeeper::Limits& limits) {
    auto door = Doorkeeper::Open({"127.0.0.1", 0}, limits);
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
    door_->Start([this](int, int fd) {
      absl::MutexLock lock(&mutex_);
      accepted_.push_back(fd);
    });
  }
  void AwaitAccepted(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto there = [this, count]()
                           ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return accepted_.size() >= count; };
    ASSERT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(60)));
  }

  absl::Mutex mutex_;
  std::vector<int> accepted_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Doorkeeper> door_;
};

constexpr int kLong = 30'000;
constexpr int kAMoment = 50;

TEST_F(DoorkeeperTest, OldestStrangerMakesRoom) {
  Open({.strangers = 3});
  std::vector<std::unique_ptr<Connection>> all;
  for (size_t i = 0; i < 5; ++i) {
    all.push_back(std::make_unique<Connection>(door_->port()));
    AwaitAccepted(i + 1);
  }
  EXPECT_TRUE(all[0]->Closed(kLong));
  EXPECT_TRUE(all[1]->Closed(kLong));
  for (size_t i = 2; i < 5; ++i) EXPECT_FALSE(all[i]->Closed(kAMoment)) << i;
}

TEST_F(DoorkeeperTest, WhoIsKnownStays) {
  Open({.strangers = 2});
  const Connection known(door_->port());
  AwaitAccepted(1);
  door_->Admit(known.peer());
  std::vector<std::unique_ptr<Connection>> all;
  for (size_t i = 0; i < 4; ++i) {
    all.push_back(std::make_unique<Connection>(door_->port()));
    AwaitAccepted(i + 2);
  }
  EXPECT_TRUE(all[0]->Closed(kLong));
  EXPECT_FALSE(known.Closed(kAMoment));
}

TEST_F(DoorkeeperTest, AddressWithTheMostMakesRoom) {
  Open({.strangers = 4});
  const Connection one(door_->port(), INADDR_LOOPBACK + 1);
  AwaitAccepted(1);
  std::vector<std::unique_ptr<Connection>> all;
  for (size_t i = 0; i < 6; ++i) {
    all.push_back(std::make_unique<Connection>(door_->port()));
    AwaitAccepted(i + 2);
  }
  EXPECT_TRUE(all[0]->Closed(kLong));
  EXPECT_FALSE(one.Closed(kAMoment));
}

TEST_F(DoorkeeperTest, PatienceEnds) {
  Open({.patience_ns = 1'000'000});
  const Connection stranger(door_->port());
  EXPECT_TRUE(stranger.Closed(kLong));
}

TEST_F(DoorkeeperTest, GoesOnWhenThereWasNoFileLeft) {
  Open({});
  rlimit before;
  getrlimit(RLIMIT_NOFILE, &before);
  const Connection first(door_->port());
  AwaitAccepted(1);
  // The next file would have this number, so that connect's is the last one.
  const int last = dup(0);
  close(last);
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(last) + 1;
  setrlimit(RLIMIT_NOFILE, &low);
  const Connection second(door_->port());
  // It takes the place of the first, for which there is room then, or waits until there is.
  EXPECT_TRUE(first.Closed(kLong));
  setrlimit(RLIMIT_NOFILE, &before);
  AwaitAccepted(2);
  EXPECT_FALSE(second.Closed(kAMoment));
}

TEST(Doorkeeper, PortThatIsTakenIsNamed) {
  const auto first = Doorkeeper::Open({"127.0.0.1", 0}, {});
  ASSERT_TRUE(first.ok());
  const auto second = Doorkeeper::Open({"127.0.0.1", (*first)->port()}, {});
  EXPECT_EQ(second.status().message(), "another program listens there");
  EXPECT_FALSE(Doorkeeper::Open({"no such host.invalid", 0}, {}).ok());
}

}  // namespace
}  // namespace trunkload
