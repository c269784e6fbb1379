#include "common/tls/grpc_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <functional>
#include <utility>
#include <vector>

#include "common/grpc_status.h"
#include "common/tls/controller_check.h"

namespace trunkload {
namespace {

constexpr unsigned int kReadAgainSeconds = 1;

class ControllerVerifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  explicit ControllerVerifier(std::string server_name) : server_name_(std::move(server_name)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> /*callback*/, grpc::Status* status) override {
    const grpc::string_ref pem = request->peer_cert();
    *status = ToGrpcStatus(CheckController(absl::string_view(pem.data(), pem.size()), server_name_));
    return true;
  }
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  const std::string server_name_;
};

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> ControllerCredentials(const TlsFolder::Material& material,
                                                                const std::string& server_name) {
  std::vector<grpc::experimental::IdentityKeyCertPair> identity;
  if (!material.certificate.empty()) identity.push_back({material.key, material.certificate});
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
      material.authorities, std::move(identity)));
  options.watch_root_certs();
  if (!material.certificate.empty()) options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      grpc::experimental::ExternalCertificateVerifier::Create<ControllerVerifier>(server_name));
  // The verifier has done so, for the whole connection.
  options.set_check_call_host(false);
  return grpc::experimental::TlsCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> ListenCredentials(const TlsFolder& folder) {
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          folder.key_path(), folder.certificate_path(), folder.authorities_path(), kReadAgainSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

std::string PeerCertificate(const grpc::AuthContext& context) {
  const std::vector<grpc::string_ref> found = context.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  return found.empty() ? "" : std::string(found.front().data(), found.front().size());
}

}  // namespace trunkload
