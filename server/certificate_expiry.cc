#include "server/certificate_expiry.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

#include "absl/strings/str_cat.h"

namespace reclaim::server {

absl::StatusOr<absl::Time> CertificateExpiry(const std::string& path) {
  const std::unique_ptr<BIO, int (*)(BIO*)> file(
      BIO_new_file(path.c_str(), "r"), &BIO_free);
  if (file == nullptr) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  const std::unique_ptr<X509, void (*)(X509*)> certificate(
      PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr), &X509_free);
  tm ends = {};
  if (certificate == nullptr ||
      ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &ends) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " holds no certificate"));
  }
  return absl::FromTM(ends, absl::UTCTimeZone());
}

}  // namespace reclaim::server
