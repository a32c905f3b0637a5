#include "rpc/tls.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace reclaim::rpc {
namespace {

constexpr unsigned kRefreshSeconds = 20;

absl::StatusOr<std::string> ReadPem(const char* what, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (file.good() && !text.str().empty()) return text.str();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": cannot read \"", path, "\""));
}

template <typename T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const { Free(object); }
};
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;

std::unique_ptr<BIO, Freed<BIO, BIO_free_all>> Memory(const std::string& pem) {
  return std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

absl::StatusOr<Certificate> ReadCertificate(const char* what,
                                            const std::string& path) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string pem, ReadPem(what, path));
  Certificate certificate(
      PEM_read_bio_X509(Memory(pem).get(), nullptr, nullptr, nullptr));
  if (certificate != nullptr) return certificate;
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": \"", path, "\" holds no PEM certificate"));
}

// Before the first client finds out.
absl::Status CheckFiles(const TlsFiles& files) {
  RECLAIM_RETURN_IF_ERROR(
      ReadCertificate("the client CA", files.client_ca).status());
  RECLAIM_ASSIGN_OR_RETURN(const std::string pem,
                           ReadPem("the key", files.key));
  const Key key(
      PEM_read_bio_PrivateKey(Memory(pem).get(), nullptr, nullptr, nullptr));
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the key: \"", files.key, "\" holds no PEM key without a passphrase"));
  }
  RECLAIM_ASSIGN_OR_RETURN(
      const Certificate certificate,
      ReadCertificate("the certificate", files.certificate));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key: \"", files.key,
                     "\" is not that of the certificate ", files.certificate));
  }
  struct stat st;
  if (!files.crl_directory.empty() &&
      (stat(files.crl_directory.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the revocation lists: \"", files.crl_directory, "\" is no folder"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeTlsCredentials(
    const TlsFiles& files) {
  RECLAIM_RETURN_IF_ERROR(CheckFiles(files));
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          files.key, files.certificate, files.client_ca, kRefreshSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  if (!files.crl_directory.empty()) {
    options.set_crl_directory(files.crl_directory);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace reclaim::rpc
