#include "controller/certs/certificate_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_folder.h"

namespace trunkload {
namespace {

constexpr unsigned int kPrivate = S_IRUSR | S_IWUSR;
constexpr unsigned int kPublic = kPrivate | S_IRGRP | S_IROTH;

absl::Status CannotWrite(const std::string& path) {
  return absl::PermissionDeniedError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

absl::Status CertificateFiles::MakeFolder(const std::string& path) const {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("cannot make the folder ", path, ": ", error.message()));
}

absl::Status CertificateFiles::Write(const std::string& path, const std::string& text,
                                     unsigned int mode) const {
  if (!force_ && access(path.c_str(), F_OK) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is there already: choose another name, or replace it with --force"));
  }
  const std::string new_path = absl::StrCat(path, ".new");
  unlink(new_path.c_str());
  const int fd = open(new_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return CannotWrite(path);
  absl::Cleanup drop_it = [&new_path] { unlink(new_path.c_str()); };
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  if (close(fd) != 0 || !written) return CannotWrite(path);
  if (std::rename(new_path.c_str(), path.c_str()) != 0) return CannotWrite(path);
  std::move(drop_it).Cancel();
  return absl::OkStatus();
}

absl::Status CertificateFiles::MakeAuthority(absl::Time from, absl::Time to) const {
  absl::StatusOr<KeyAndCertificate> made = Authority::Make(from, to);
  if (!made.ok()) return made.status();
  if (absl::Status status = MakeFolder(folder_); !status.ok()) return status;
  absl::Status status = Write(folder_ + "/ca.key", made->key, kPrivate);
  return status.ok() ? Write(folder_ + "/ca.crt", made->certificate, kPublic) : status;
}

absl::StatusOr<std::string> CertificateFiles::Issue(Authority::Request request) const {
  const TlsFolder own(folder_);
  const std::string key = ReadText(folder_ + "/ca.key");
  if (key.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("cannot read ", folder_,
                                                      "/ca.key: `trunkload certs init --dir ", folder_,
                                                      "` makes an authority there"));
  }
  const absl::StatusOr<Authority> authority = Authority::Read({key, ReadText(own.authorities_path())});
  if (!authority.ok())
    return absl::FailedPreconditionError(absl::StrCat(folder_, ": ", authority.status().message()));
  const absl::StatusOr<Certificate> issuer = Certificate::Parse(authority->certificate());
  if (!issuer.ok()) return issuer.status();
  request.to = std::min(request.to, issuer->not_after);
  const absl::StatusOr<KeyAndCertificate> issued = authority->Issue(request);
  if (!issued.ok()) return issued.status();
  const TlsFolder folder(absl::StrCat(folder_, "/", request.name));
  if (absl::Status status = MakeFolder(folder.path()); !status.ok()) return status;
  absl::Status status = Write(folder.key_path(), issued->key, kPrivate);
  if (status.ok()) status = Write(folder.certificate_path(), issued->certificate, kPublic);
  if (status.ok()) status = Write(folder.authorities_path(), authority->certificate(), kPublic);
  if (!status.ok()) return status;
  return folder.path();
}

}  // namespace trunkload
