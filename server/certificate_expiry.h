// server/certificate_expiry.h — when a certificate ends.

#ifndef RECLAIM_SERVER_CERTIFICATE_EXPIRY_H_
#define RECLAIM_SERVER_CERTIFICATE_EXPIRY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace reclaim::server {

// Of the first certificate in a PEM file.  NOT_FOUND, INVALID_ARGUMENT.
absl::StatusOr<absl::Time> CertificateExpiry(const std::string& path);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_CERTIFICATE_EXPIRY_H_
