#include "controller/faults/listeners.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace trunkload {
namespace {

constexpr char kListening[] = "0A";

// As /proc/net/tcp and tcp6 write it: words of the address in the machine's own order of bytes.
std::string Hex(const void* address, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; i += sizeof(uint32_t)) {
    uint32_t word;
    std::memcpy(&word, static_cast<const char*>(address) + i, sizeof(word));
    absl::StrAppendFormat(&text, "%08X", word);
  }
  return text;
}

std::string Hex(const sockaddr& address) {
  if (address.sa_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address);
    return Hex(&ipv6.sin6_addr, sizeof(ipv6.sin6_addr));
  }
  const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address);
  return Hex(&ipv4.sin_addr, sizeof(ipv4.sin_addr));
}

// Only to an address of its own can a machine bind a socket.
bool IsOfThisMachine(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_storage any_port{};
  std::memcpy(&any_port, address.ai_addr, address.ai_addrlen);
  // The port is at the same place in both families.
  reinterpret_cast<sockaddr_in&>(any_port).sin_port = 0;
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&any_port), address.ai_addrlen) == 0;
  close(fd);
  return bound;
}

// Of a file in /proc/net/, the fields of each line.
std::vector<std::vector<std::string>> Table(const std::string& name) {
  std::vector<std::vector<std::string>> lines;
  std::ifstream file("/proc/net/" + name);
  for (std::string line; std::getline(file, line);)
    lines.push_back(absl::StrSplit(line, ' ', absl::SkipWhitespace()));
  return lines;
}

// True where any listens there. `addresses`: in hex.
bool AddListeners(const std::string& table, const std::set<std::string>& addresses, int port,
                  Listeners& found) {
  bool any = false;
  for (const std::vector<std::string>& line : Table(table)) {
    if (line.size() < 10 || line[3] != kListening) continue;
    const std::vector<std::string> local = absl::StrSplit(line[1], ':');
    if (local.size() != 2 || local[1] != absl::StrFormat("%04X", port)) continue;
    const bool every_address = local[0].find_first_not_of('0') == std::string::npos;
    if (!every_address && !addresses.contains(local[0])) continue;
    found.sockets.insert(absl::StrCat("socket:[", line[9], "]"));
    any = true;
  }
  return any;
}

void AddSocketFile(const std::string& path, Listeners& found) {
  for (const std::vector<std::string>& line : Table("unix")) {
    if (line.size() == 8 && line[7] == path) found.sockets.insert(absl::StrCat("socket:[", line[6], "]"));
  }
}

}  // namespace

absl::StatusOr<Listeners> FindListeners(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == address.npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 ||
      port > 65535)
    return absl::FailedPreconditionError(absl::StrCat(address, " is no HOST:PORT"));
  const std::string host = address.substr(0, colon);
  Listeners found;
  std::set<std::string> ours;
  if (absl::StartsWith(host, "/")) {
    AddSocketFile(absl::StrCat(host, "/.s.PGSQL.", port), found);
  } else {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0)
      return absl::FailedPreconditionError(
          absl::StrCat("where ", host, " is can't be found out: ", gai_strerror(error)));
    const absl::Cleanup free_list = [list] { freeaddrinfo(list); };
    for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
      if (IsOfThisMachine(*one)) ours.insert(Hex(*one->ai_addr));
    }
    if (ours.empty()) return absl::FailedPreconditionError(absl::StrCat(address, " is not on this machine"));
    found.ipv4 = AddListeners("tcp", ours, port, found);
    found.ipv6 = AddListeners("tcp6", ours, port, found);
  }
  if (found.sockets.empty())
    return absl::FailedPreconditionError(absl::StrCat("nothing listens at ", address, " on this machine"));
  return found;
}

}  // namespace trunkload
