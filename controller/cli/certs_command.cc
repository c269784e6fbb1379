// The commands about certificates: a private authority, what it issues, and what somebody holds.
#include <sys/stat.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_folder.h"
#include "controller/certs/certificate_files.h"
#include "controller/cli/command.h"
#include "controller/cli/exit_status.h"

namespace trunkload {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
// Clocks of other machines may be that late.
constexpr absl::Duration kBefore = absl::Minutes(5);

struct CertsArguments {
  std::string folder = "pki";
  bool force = false;
  int authority_days = 3650;
  int days = 365;
  std::string name;
  std::string role;
  std::vector<std::string> hosts;
  std::string shown;
};

int Init(const CertsArguments& arguments) {
  const absl::Time now = absl::Now();
  const CertificateFiles files(arguments.folder, arguments.force);
  const absl::Status status = files.MakeAuthority(now - kBefore, now + arguments.authority_days * kDay);
  if (!status.ok()) return ReportError(status);
  std::cout << "an authority is in " << arguments.folder
            << ": whoever has ca.key can let anybody in, so keep it off the machines of the fleet\n"
               "next: trunkload certs issue NAME --role controller --host HOST --dir "
            << arguments.folder << std::endl;
  return kExitOk;
}

int Issue(const CertsArguments& arguments) {
  const std::optional<Role> role = RoleNamed(arguments.role);
  if (!role) {
    return ReportError(absl::InvalidArgumentError(
        absl::StrCat("--role ", arguments.role, ": a role is controller, agent, operator or viewer")));
  }
  const absl::Time now = absl::Now();
  const CertificateFiles files(arguments.folder, arguments.force);
  const absl::StatusOr<std::string> made = files.Issue({.name = arguments.name,
                                                        .role = *role,
                                                        .hosts = arguments.hosts,
                                                        .from = now - kBefore,
                                                        .to = now + arguments.days * kDay});
  if (!made.ok()) return ReportError(made.status());
  std::cout << *made << " is for --tls: copy it to where " << arguments.name << " runs, and to nowhere else"
            << std::endl;
  return kExitOk;
}

// FAILED_PRECONDITION, after it was shown, where it can't be used now.
absl::Status ShowFile(const std::string& path) {
  std::ifstream file(path);
  const std::string pem{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && pem.empty()) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  const absl::StatusOr<Certificate> certificate = Certificate::Parse(pem);
  if (!certificate.ok())
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", certificate.status().message()));
  const absl::Time now = absl::Now();
  const absl::Status time = certificate->CheckTime(now);
  std::cout << path << "\n  name    " << certificate->name << "\n  role    "
            << (certificate->authority ? "authority" : certificate->roles().Text()) << "\n  hosts   "
            << certificate->Hosts() << "\n  issuer  " << certificate->issuer << "\n  valid   "
            << TimeText(certificate->not_before) << " to " << TimeText(certificate->not_after)
            << (time.ok() ? absl::StrFormat(", %d days left", (certificate->not_after - now) / kDay) : "")
            << std::endl;
  return time.ok() ? time : absl::FailedPreconditionError(absl::StrCat(path, " ", time.message()));
}

int Show(const CertsArguments& arguments) {
  struct stat found {};
  if (stat(arguments.shown.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    const absl::Status status = ShowFile(arguments.shown);
    return status.ok() ? kExitOk : ReportError(status);
  }
  const TlsFolder folder(arguments.shown);
  const absl::StatusOr<TlsFolder::Material> material = folder.Read(absl::Now());
  absl::Status status = material.status();
  // What is not there was missed above, where it is needed.
  for (const std::string& path : {folder.certificate_path(), folder.authorities_path()}) {
    const absl::Status shown = ShowFile(path);
    if (status.ok() && !absl::IsNotFound(shown)) status = shown;
  }
  return status.ok() ? kExitOk : ReportError(status);
}

}  // namespace

void AddCertsCommand(CLI::App& app, int& exit_status) {
  CLI::App* certs =
      app.add_subcommand("certs", "A private authority and the certificates it issues, for --tls.");
  certs->require_subcommand(1);
  auto arguments = std::make_shared<CertsArguments>();
  const auto add_common = [&arguments](CLI::App& command, int& days) {
    command.add_option("--dir", arguments->folder, "The authority's folder")
        ->type_name("DIR")
        ->capture_default_str();
    command.add_option("--days", days, "For how long it is valid")
        ->type_name("N")
        ->check(CLI::Range(1, 36500))
        ->capture_default_str();
    command.add_flag("--force", arguments->force, "Replace what is there");
  };

  CLI::App* init =
      certs->add_subcommand("init", "Makes an authority: ca.crt, and ca.key, which stays secret.");
  add_common(*init, arguments->authority_days);
  init->callback([arguments, &exit_status] { exit_status = Init(*arguments); });

  CLI::App* issue = certs->add_subcommand(
      "issue", "Makes a folder for --tls, with a certificate, its key, and the authority's certificate.");
  issue->add_option("NAME", arguments->name, "Who it is for: a machine or a person, and the folder's name")
      ->required();
  issue->add_option("--role", arguments->role, "controller, agent, operator or viewer: what it may do")
      ->type_name("ROLE")
      ->required();
  issue
      ->add_option("--host", arguments->hosts,
                   "A name or address that a controller is dialled by; repeatable")
      ->type_name("NAME_OR_IP")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_common(*issue, arguments->days);
  issue->footer(
      "Examples:\n"
      "  trunkload certs init\n"
      "  trunkload certs issue controller --role controller --host load.example.com --host 10.0.0.5\n"
      "  trunkload certs issue agent --role agent\n"
      "  trunkload certs issue carol --role operator\n");
  issue->callback([arguments, &exit_status] { exit_status = Issue(*arguments); });

  CLI::App* show =
      certs->add_subcommand("show", "Says whose a certificate is, what it is for, and until when.");
  show->add_option("FILE_OR_DIR", arguments->shown, "A certificate, or a folder for --tls")->required();
  show->footer("Exit status: 1 where it can't be used now.\n");
  show->callback([arguments, &exit_status] { exit_status = Show(*arguments); });
}

}  // namespace trunkload
