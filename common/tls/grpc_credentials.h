#pragma once

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "common/tls/tls_folder.h"

namespace trunkload {

// Of who dials: only a controller of these authorities, with that name or address, is talked to.
std::shared_ptr<grpc::ChannelCredentials> ControllerCredentials(const TlsFolder::Material& material,
                                                                const std::string& server_name);
// Of the side that listens, TLS 1.2 or later. The folder is read again when something in it has changed.
// Callers may be without a certificate, but one that they show has to be of the folder's authorities: who
// may do what is decided call by call.
std::shared_ptr<grpc::ServerCredentials> ListenCredentials(const TlsFolder& folder);

// The certificate that a caller has shown, in PEM; empty: none.
std::string PeerCertificate(const grpc::AuthContext& context);

}  // namespace trunkload
