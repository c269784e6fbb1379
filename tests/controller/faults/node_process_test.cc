#include "controller/faults/node_process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "controller/faults/listeners.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// Listens on a port of an address of this machine.
class Listener {
 public:
  explicit Listener(uint32_t address) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(address);
    socklen_t size = sizeof(name);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size), 0);
    port_ = ntohs(name.sin_port);
  }
  ~Listener() { close(fd_); }
  std::string At(const std::string& host) const { return absl::StrCat(host, ":", port_); }

 private:
  const int fd_;
  int port_ = 0;
};

TEST(NodeProcessTest, WhatIsNoPostgresqlIsLeftAlone) {
  const Listener listener(INADDR_LOOPBACK);
  const auto found = NodeProcess::Find(listener.At("127.0.0.1"));
  EXPECT_TRUE(absl::IsFailedPrecondition(found.status()));
  EXPECT_THAT(found.status().message(), HasSubstr("is no PostgreSQL server"));
}

TEST(ListenersTest, AreThoseOfTheAddressAlone) {
  const Listener loopback(INADDR_LOOPBACK);
  const auto found = FindListeners(loopback.At("127.0.0.1"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->sockets, SizeIs(1));
  EXPECT_TRUE(found->ipv4);
  EXPECT_FALSE(found->ipv6);
  // Another address of this machine, of which the port is free.
  EXPECT_THAT(FindListeners(loopback.At("127.0.0.2")).status().message(),
              HasSubstr("nothing listens at 127.0.0.2:"));
  const Listener everywhere(INADDR_ANY);
  EXPECT_TRUE(FindListeners(everywhere.At("127.0.0.2")).ok());
}

TEST(ListenersTest, OtherMachinesAreNotLookedAt) {
  // Of documentation: nobody has it.
  EXPECT_THAT(FindListeners("192.0.2.1:5432").status().message(), HasSubstr("is not on this machine"));
  EXPECT_TRUE(absl::IsFailedPrecondition(FindListeners("here").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(FindListeners("127.0.0.1:0").status()));
  EXPECT_THAT(FindListeners("/nowhere:5432").status().message(), HasSubstr("nothing listens"));
}

}  // namespace
}  // namespace trunkload
