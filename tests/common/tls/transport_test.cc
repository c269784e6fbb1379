#include "common/tls/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/host_port.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;

TEST(HostPort, IsReadFromItsForms) {
  for (const auto& [text, host, port] : {std::tuple{"10.0.0.5:7400", "10.0.0.5", 7400},
                                         {"load.example.com:1", "load.example.com", 1},
                                         {"[::1]:7400", "::1", 7400},
                                         {":7400", "", 7400},
                                         {"localhost:0", "localhost", 0}}) {
    const auto parsed = HostPort::Parse(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
  }
  for (const char* text : {"", "host", "host:", "host:x", "host:65536", "host:-1", "::1:7400", "::1"})
    EXPECT_FALSE(HostPort::Parse(text).ok()) << text;
}

TEST(HostPort, LoopbackIsThisMachineOnly) {
  for (const char* text : {"127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1"})
    EXPECT_TRUE(HostPort::Parse(text)->IsLoopback()) << text;
  for (const char* text : {":1", "0.0.0.0:1", "[::]:1", "10.0.0.5:1", "localhost.example.com:1",
                           "128.0.0.1:1", "127.0.0.1.example.com:1", "127.1:1"})
    EXPECT_FALSE(HostPort::Parse(text)->IsLoopback()) << text;
}

TEST(Transport, PlainTextStaysOnThisMachine) {
  EXPECT_TRUE(Transport{}.CheckDial("127.0.0.1:7400").ok());
  EXPECT_TRUE(Transport{}.CheckListen("localhost:7400").ok());
  const absl::Status dial = Transport{}.CheckDial("10.0.0.5:7400");
  EXPECT_TRUE(absl::IsInvalidArgument(dial));
  EXPECT_THAT(std::string(dial.message()), HasSubstr("--tls"));
  EXPECT_THAT(std::string(dial.message()), HasSubstr("--insecure"));
  EXPECT_TRUE(absl::IsInvalidArgument(Transport{}.CheckListen(":7400")));
  EXPECT_TRUE(absl::IsInvalidArgument(Transport{}.CheckListen("0.0.0.0:7400")));
}

TEST(Transport, GoesBeyondItWithTlsOrTheFlag) {
  for (const Transport& transport : {Transport{.tls = "pki/one"}, Transport{.insecure = true}}) {
    EXPECT_TRUE(transport.CheckDial("10.0.0.5:7400").ok());
    EXPECT_TRUE(transport.CheckListen(":7400").ok());
  }
  EXPECT_FALSE((Transport{.tls = "pki/one", .insecure = true}.CheckDial("10.0.0.5:7400").ok()));
  EXPECT_FALSE((Transport{.tls_server_name = "one"}.CheckDial("127.0.0.1:7400").ok()));
}

TEST(Transport, AddressesThatAreNoneAreRefused) {
  for (const char* address : {"", "host", ":7400", "unix:/tmp/socket", "dns:///host"})
    EXPECT_TRUE(absl::IsInvalidArgument(Transport{.insecure = true}.CheckDial(address))) << address;
}

TEST(Transport, NameOfTheControllerIsItsHostUnlessSaid) {
  EXPECT_EQ(Transport{}.ServerName("load.example.com:7400"), "load.example.com");
  EXPECT_EQ(Transport{}.ServerName("[::1]:7400"), "::1");
  EXPECT_EQ((Transport{.tls_server_name = "load"}.ServerName("10.0.0.5:7400")), "load");
}

TEST(Transport, EnvironmentIsForWhatNobodySaid) {
  setenv("TRUNKLOAD_TLS", "pki/env", 1);
  Transport transport;
  transport.TakeEnvironment();
  EXPECT_EQ(transport.tls, "pki/env");
  Transport said{.tls = "pki/said"};
  said.TakeEnvironment();
  EXPECT_EQ(said.tls, "pki/said");
  Transport insecure{.insecure = true};
  insecure.TakeEnvironment();
  EXPECT_EQ(insecure.tls, "");
  unsetenv("TRUNKLOAD_TLS");
}

}  // namespace
}  // namespace trunkload
