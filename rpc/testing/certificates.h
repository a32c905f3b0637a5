// rpc/testing/certificates.h — certificates for tests: an authority of their
// own, made anew, valid for a day.

#ifndef RECLAIM_RPC_TESTING_CERTIFICATES_H_
#define RECLAIM_RPC_TESTING_CERTIFICATES_H_

#include <memory>
#include <string>

namespace reclaim::rpc {

struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

class CertificateAuthority {
 public:
  CertificateAuthority();
  ~CertificateAuthority();

  // Its own certificate, PEM.
  std::string certificate() const;
  // A leaf with the common name `name` and alternative names such as
  // "DNS:localhost,URI:spiffe://reclaim/operator" ("" for none).  `days` may be
  // negative: then it has expired.
  KeyPair Issue(const std::string& name, const std::string& alternatives,
                int days = 1);
  // A revocation list of this authority that holds `leaf`, under the file name
  // that OpenSSL looks for in a folder of such lists.
  struct RevocationList {
    std::string file_name;
    std::string pem;
  };
  RevocationList Revoke(const KeyPair& leaf) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_TESTING_CERTIFICATES_H_
