#include "controller/access/peer_address.h"

#include <arpa/inet.h>

#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace trunkload {
namespace {

struct Peer {
  std::string host;  // as inet_ntop writes it
  std::string port;
  std::optional<in6_addr> v6;
};

std::optional<Peer> Parse(absl::string_view peer) {
  const size_t kind = peer.find(':');
  const size_t port = peer.rfind(':');
  if (kind == absl::string_view::npos || port <= kind) return std::nullopt;
  Peer parsed;
  parsed.port = std::string(peer.substr(port + 1));
  // Brackets may be escaped there, as in a URI.
  parsed.host = absl::StrReplaceAll(peer.substr(kind + 1, port - kind - 1),
                                    {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
  in6_addr address;
  if (inet_pton(AF_INET6, parsed.host.c_str(), &address) != 1) return parsed;
  char text[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    parsed.host = inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof text);
  } else {
    parsed.host = inet_ntop(AF_INET6, &address, text, sizeof text);
    parsed.v6 = address;
  }
  return parsed;
}

}  // namespace

std::string AddressOfPeer(absl::string_view peer) {
  std::optional<Peer> parsed = Parse(peer);
  if (!parsed) return std::string(peer);
  if (!parsed->v6) return parsed->host;
  std::memset(&parsed->v6->s6_addr[8], 0, 8);
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(AF_INET6, &*parsed->v6, text, sizeof text);
}

std::string NormalizedPeer(absl::string_view peer) {
  const std::optional<Peer> parsed = Parse(peer);
  if (!parsed) return std::string(peer);
  return parsed->v6 ? absl::StrCat("ipv6:[", parsed->host, "]:", parsed->port)
                    : absl::StrCat("ipv4:", parsed->host, ":", parsed->port);
}

}  // namespace trunkload
