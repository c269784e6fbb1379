#include "common/tls/certificate.h"

#include <arpa/inet.h>
#include <openssl/pem.h>

#include <cstdint>
#include <ctime>
#include <iterator>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/tls/openssl.h"

namespace trunkload {
namespace {

Openssl<X509> Read(absl::string_view pem) {
  Openssl<BIO> bio = ReadFrom(pem);
  Openssl<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  TakeOpensslError();
  return certificate;
}

// As UTF-8; one that can't be that is left out, as is one with a zero byte, which other programs take for
// its end.
std::vector<std::string> Entries(const X509_NAME* name, int kind) {
  std::vector<std::string> entries;
  for (int i = -1; (i = X509_NAME_get_index_by_NID(name, kind, i)) >= 0;) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
    if (size < 0) continue;
    std::string entry(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
    if (entry.find('\0') == std::string::npos) entries.push_back(std::move(entry));
  }
  TakeOpensslError();
  return entries;
}

std::string First(const std::vector<std::string>& entries) {
  return entries.empty() ? "" : entries.front();
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&parts));
}

void ReadNames(X509* certificate, Certificate& into) {
  const Openssl<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      into.dns_names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                                  static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      const int size = ASN1_STRING_length(name->d.iPAddress);
      char text[INET6_ADDRSTRLEN];
      if ((size == 4 || size == 16) &&
          inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text,
                    sizeof text) != nullptr) {
        into.addresses.emplace_back(text);
      }
    }
  }
  TakeOpensslError();
}

}  // namespace

absl::StatusOr<Certificate> Certificate::Parse(absl::string_view pem) {
  const Openssl<X509> certificate = Read(pem);
  if (certificate == nullptr) return absl::InvalidArgumentError("it holds no certificate in PEM");
  Certificate parsed;
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  parsed.name = First(Entries(subject, NID_commonName));
  parsed.organizations = Entries(subject, NID_organizationName);
  parsed.issuer = First(Entries(X509_get_issuer_name(certificate.get()), NID_commonName));
  ReadNames(certificate.get(), parsed);
  parsed.not_before = TimeOf(X509_get0_notBefore(certificate.get()));
  parsed.not_after = TimeOf(X509_get0_notAfter(certificate.get()));
  // Of one without the extension, every use is allowed: all bits are set.
  const uint32_t usage = X509_get_extended_key_usage(certificate.get());
  parsed.for_servers = (usage & XKU_SSL_SERVER) != 0;
  parsed.for_clients = (usage & XKU_SSL_CLIENT) != 0;
  parsed.authority = X509_check_ca(certificate.get()) != 0;
  TakeOpensslError();
  return parsed;
}

Roles Certificate::roles() const {
  return Roles::Of(organizations.empty() ? std::span(&name, 1) : std::span(organizations));
}

absl::Status Certificate::CheckTime(absl::Time now) const {
  if (now > not_after) return absl::FailedPreconditionError(absl::StrCat("expired at ", TimeText(not_after)));
  if (now < not_before) {
    return absl::FailedPreconditionError(absl::StrCat("is not valid before ", TimeText(not_before),
                                                      ", and by this machine's clock it is ", TimeText(now)));
  }
  return absl::OkStatus();
}

std::string Certificate::Hosts() const {
  std::vector<std::string> all = dns_names;
  all.insert(all.end(), addresses.begin(), addresses.end());
  return all.empty() ? "no host" : absl::StrJoin(all, ", ");
}

absl::Status CheckHost(absl::string_view pem, const std::string& host) {
  const Openssl<X509> certificate = Read(pem);
  if (certificate == nullptr) return absl::FailedPreconditionError("there is no certificate");
  unsigned char address[sizeof(in6_addr)];
  const bool is_address =
      inet_pton(AF_INET, host.c_str(), address) == 1 || inet_pton(AF_INET6, host.c_str(), address) == 1;
  const int matches = is_address ? X509_check_ip_asc(certificate.get(), host.c_str(), 0)
                                 : X509_check_host(certificate.get(), host.data(), host.size(), 0, nullptr);
  TakeOpensslError();
  if (matches == 1) return absl::OkStatus();
  const absl::StatusOr<Certificate> parsed = Certificate::Parse(pem);
  return absl::FailedPreconditionError(absl::StrCat(
      "its certificate is for ", parsed.ok() ? parsed->Hosts() : "no host", ", not for ", host,
      ": issue one with --host ", host, ", or say with --tls-server-name which of its names it has"));
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

}  // namespace trunkload
