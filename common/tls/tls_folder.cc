#include "common/tls/tls_folder.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"
#include "common/tls/openssl.h"

namespace trunkload {
namespace {

// The authorities of a whole system, which somebody may well point at, are 0.3 MB.
constexpr size_t kLargestFile = 4 << 20;

// NOT_FOUND where it is not there.
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const std::string why = absl::StrCat("cannot read ", path, ": ", std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(why) : absl::InvalidArgumentError(why);
  }
  const absl::Cleanup close_it = [fd] { close(fd); };
  std::string text;
  char buffer[16384];
  ssize_t count;
  while ((count = read(fd, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > kLargestFile)
      return absl::InvalidArgumentError(absl::StrCat(path, " is too large for a file of certificates"));
  }
  if (count < 0)
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  return text;
}

// OpenSSL would ask at the terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

absl::Status CheckPair(const TlsFolder& folder, const TlsFolder::Material& material, absl::Time now) {
  const absl::StatusOr<Certificate> certificate = Certificate::Parse(material.certificate);
  if (!certificate.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder.certificate_path(), ": ", certificate.status().message()));
  }
  bool asked = false;
  Openssl<BIO> key_bio = ReadFrom(material.key);
  const Openssl<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, NoPassphrase, &asked));
  TakeOpensslError();
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        asked ? absl::StrCat(folder.key_path(),
                             " is locked with a passphrase, which nobody is there to type: store it without")
              : absl::StrCat(folder.key_path(), " holds no private key in PEM"));
  }
  Openssl<BIO> certificate_bio = ReadFrom(material.certificate);
  const Openssl<X509> x509(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const bool matches = x509 != nullptr && X509_check_private_key(x509.get(), key.get()) == 1;
  TakeOpensslError();
  if (!matches) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder.key_path(), " is not the key of the certificate in ", folder.certificate_path(),
                     ": put the two there that were made together"));
  }
  if (absl::Status status = certificate->CheckTime(now); !status.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("the certificate in ", folder.certificate_path(), " ",
                                                      status.message(),
                                                      ": issue a new one, or set the clock"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsFolder::Material> TlsFolder::Read(absl::Time now) const {
  Material material;
  absl::StatusOr<std::string> authorities = ReadFile(authorities_path());
  if (!authorities.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(authorities.status().message(),
                     "; --tls names a folder with ca.crt, tls.crt and tls.key, as `trunkload "
                     "certs issue` makes it"));
  }
  material.authorities = *std::move(authorities);
  if (const auto parsed = Certificate::Parse(material.authorities); !parsed.ok())
    return absl::InvalidArgumentError(absl::StrCat(authorities_path(), ": ", parsed.status().message()));
  absl::StatusOr<std::string> certificate = ReadFile(certificate_path());
  absl::StatusOr<std::string> key = ReadFile(key_path());
  // An agent with a join token needs neither.
  if (absl::IsNotFound(certificate.status()) && absl::IsNotFound(key.status())) return material;
  if (!certificate.ok()) return absl::InvalidArgumentError(certificate.status().message());
  if (!key.ok()) return absl::InvalidArgumentError(key.status().message());
  material.certificate = *std::move(certificate);
  material.key = *std::move(key);
  if (absl::Status status = CheckPair(*this, material, now); !status.ok()) return status;
  return material;
}

}  // namespace trunkload
