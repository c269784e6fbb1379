#include "controller/certs/authority.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/pem.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/tls/certificate.h"
#include "common/tls/openssl.h"

namespace trunkload {
namespace {

constexpr size_t kLongestName = 64;  // X.509 allows no more
constexpr int kSerialBits = 128;

absl::Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("cannot ", what, ": ", TakeOpensslError()));
}

Openssl<EVP_PKEY> NewKey() {
  return Openssl<EVP_PKEY>(EVP_EC_gen("P-256"));
}

std::string KeyPem(EVP_PKEY* key) {
  const Openssl<BIO> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) return "";
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

std::string CertificatePem(X509* certificate) {
  const Openssl<BIO> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return "";
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

bool AddName(X509_NAME* name, const char* field, const std::string& text) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool AddExtension(X509* certificate, X509* issuer, int kind, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Openssl<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, kind, text.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetTime(ASN1_TIME* into, absl::Time time) {
  return ASN1_TIME_set(into, absl::ToTimeT(time)) != nullptr;
}

// What is the same in all of them; the key is its own.
Openssl<X509> Begin(EVP_PKEY* key, absl::Time from, absl::Time to) {
  Openssl<X509> certificate(X509_new());
  const Openssl<BIGNUM> serial(BN_new());
  // The highest bit is set: all are equally long, and none is 0.
  if (certificate == nullptr || serial == nullptr ||
      BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) == nullptr ||
      X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !SetTime(X509_getm_notBefore(certificate.get()), from) ||
      !SetTime(X509_getm_notAfter(certificate.get()), to) || X509_set_pubkey(certificate.get(), key) != 1) {
    return nullptr;
  }
  return certificate;
}

Openssl<X509> ReadCertificate(const std::string& pem) {
  const Openssl<BIO> bio = ReadFrom(pem);
  return Openssl<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

Openssl<EVP_PKEY> ReadKey(const std::string& pem) {
  const Openssl<BIO> bio = ReadFrom(pem);
  // Never asks at the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  return Openssl<EVP_PKEY>(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
}

bool IsAddress(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 || inet_pton(AF_INET6, host.c_str(), address) == 1;
}

// Nothing that means something in OpenSSL's language of extensions can be in one.
bool IsDnsName(const std::string& host) {
  const absl::string_view name = absl::StartsWith(host, "*.") ? absl::string_view(host).substr(2) : host;
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_';
  });
}

absl::Status Check(const Authority::Request& request) {
  const bool printable = std::all_of(request.name.begin(), request.name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-_.@", c);
  });
  if (request.name.empty() || request.name.size() > kLongestName || !printable || request.name[0] == '.') {
    return absl::InvalidArgumentError(absl::StrCat("a certificate's name is of 1 to ", kLongestName,
                                                   " letters, digits, '-', '_', '.' and '@'"));
  }
  for (const std::string& host : request.hosts) {
    if (!IsAddress(host) && !IsDnsName(host)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--host ", host, " is neither a DNS name nor an IP address; it is given without a port"));
    }
  }
  if (request.role == Role::kController && request.hosts.empty()) {
    return absl::InvalidArgumentError(
        "a controller's certificate needs each name and address that it is dialled by: --host NAME, "
        "repeatable");
  }
  return absl::OkStatus();
}

std::string HostsText(const std::vector<std::string>& hosts) {
  return absl::StrJoin(hosts, ",", [](std::string* out, const std::string& host) {
    absl::StrAppend(out, IsAddress(host) ? "IP:" : "DNS:", host);
  });
}

}  // namespace

absl::StatusOr<KeyAndCertificate> Authority::Make(absl::Time from, absl::Time to) {
  const Openssl<EVP_PKEY> key = NewKey();
  if (key == nullptr) return Failed("make a key");
  const Openssl<X509> certificate = Begin(key.get(), from, to);
  if (certificate == nullptr) return Failed("make a certificate");
  X509_NAME* name = X509_get_subject_name(certificate.get());
  if (!AddName(name, "O", "trunkload") || !AddName(name, "CN", "Trunkload authority") ||
      X509_set_issuer_name(certificate.get(), name) != 1 ||
      !AddExtension(certificate.get(), certificate.get(), NID_basic_constraints,
                    "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) {
    return Failed("make the authority's certificate");
  }
  return KeyAndCertificate{KeyPem(key.get()), CertificatePem(certificate.get())};
}

absl::StatusOr<Authority> Authority::Read(KeyAndCertificate own) {
  const Openssl<X509> certificate = ReadCertificate(own.certificate);
  const Openssl<EVP_PKEY> key = ReadKey(own.key);
  const bool pair = certificate != nullptr && key != nullptr &&
                    X509_check_private_key(certificate.get(), key.get()) == 1 &&
                    X509_check_ca(certificate.get()) != 0;
  TakeOpensslError();
  if (!pair) return absl::InvalidArgumentError("ca.crt and ca.key are not an authority and its key");
  return Authority(std::move(own));
}

absl::StatusOr<KeyAndCertificate> Authority::Issue(const Request& request) const {
  if (absl::Status status = Check(request); !status.ok()) return status;
  const Openssl<X509> issuer = ReadCertificate(own_.certificate);
  const Openssl<EVP_PKEY> issuer_key = ReadKey(own_.key);
  const Openssl<EVP_PKEY> key = NewKey();
  if (issuer == nullptr || issuer_key == nullptr || key == nullptr) return Failed("make a key");
  const Openssl<X509> certificate = Begin(key.get(), request.from, request.to);
  if (certificate == nullptr) return Failed("make a certificate");
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const bool server = request.role == Role::kController;
  if (!AddName(name, "O", OrganizationOf(request.role)) || !AddName(name, "CN", request.name) ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get())) != 1 ||
      !AddExtension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(certificate.get(), issuer.get(), NID_ext_key_usage,
                    server ? "serverAuth" : "clientAuth") ||
      (!request.hosts.empty() &&
       !AddExtension(certificate.get(), issuer.get(), NID_subject_alt_name, HostsText(request.hosts))) ||
      !AddExtension(certificate.get(), issuer.get(), NID_subject_key_identifier, "hash") ||
      !AddExtension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) == 0) {
    return Failed(absl::StrCat("make the certificate of ", request.name));
  }
  return KeyAndCertificate{KeyPem(key.get()), CertificatePem(certificate.get())};
}

}  // namespace trunkload
