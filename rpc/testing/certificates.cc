#include "rpc/testing/certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace reclaim::rpc {
namespace {

constexpr long kDaySeconds = 24 * 60 * 60;

template <typename Object, typename Write>
std::string ToPem(Object* object, Write write) {
  BIO* out = BIO_new(BIO_s_mem());
  RECLAIM_CHECK(write(out, object) == 1, "OpenSSL refuses");
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  std::string pem(bytes, static_cast<size_t>(size));
  BIO_free(out);
  return pem;
}

std::string CertificatePem(X509* certificate) {
  return ToPem(certificate, [](BIO* out, X509* object) {
    return PEM_write_bio_X509(out, object);
  });
}

void AddExtension(X509* certificate, X509* issuer, int kind,
                  const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  RECLAIM_CHECK(extension != nullptr, "OpenSSL refuses");
  RECLAIM_CHECK(X509_add_ext(certificate, extension, -1) == 1,
                "OpenSSL refuses");
  X509_EXTENSION_free(extension);
}

X509* NewCertificate(const std::string& name, long serial, int days,
                     EVP_PKEY* key) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * kDaySeconds);
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
      reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  RECLAIM_CHECK(X509_set_pubkey(certificate, key) == 1, "OpenSSL refuses");
  return certificate;
}

}  // namespace

struct CertificateAuthority::State {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  long last_serial = 1;
};

CertificateAuthority::CertificateAuthority()
    : state_(std::make_unique<State>()) {
  state_->key = EVP_EC_gen("P-256");
  state_->certificate = NewCertificate("test authority", 1, 1, state_->key);
  X509* self = state_->certificate;
  X509_set_issuer_name(self, X509_get_subject_name(self));
  AddExtension(self, self, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(self, self, NID_subject_key_identifier, "hash");
  RECLAIM_CHECK(X509_sign(self, state_->key, EVP_sha256()) > 0,
                "OpenSSL refuses");
}

CertificateAuthority::~CertificateAuthority() {
  X509_free(state_->certificate);
  EVP_PKEY_free(state_->key);
}

std::string CertificateAuthority::certificate() const {
  return CertificatePem(state_->certificate);
}

KeyPair CertificateAuthority::Issue(const std::string& name,
                                    const std::string& alternatives, int days) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* leaf = NewCertificate(name, ++state_->last_serial, days, key);
  X509_set_issuer_name(leaf, X509_get_subject_name(state_->certificate));
  AddExtension(leaf, state_->certificate, NID_authority_key_identifier,
               "keyid");
  if (!alternatives.empty()) {
    AddExtension(leaf, state_->certificate, NID_subject_alt_name, alternatives);
  }
  RECLAIM_CHECK(X509_sign(leaf, state_->key, EVP_sha256()) > 0,
                "OpenSSL refuses");
  KeyPair pair;
  pair.certificate = CertificatePem(leaf);
  pair.key = ToPem(key, [](BIO* out, EVP_PKEY* object) {
    return PEM_write_bio_PrivateKey(out, object, nullptr, nullptr, 0, nullptr,
                                    nullptr);
  });
  X509_free(leaf);
  EVP_PKEY_free(key);
  return pair;
}

CertificateAuthority::RevocationList CertificateAuthority::Revoke(
    const KeyPair& leaf) const {
  BIO* in = BIO_new_mem_buf(leaf.certificate.data(),
                            static_cast<int>(leaf.certificate.size()));
  X509* certificate = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
  RECLAIM_CHECK(certificate != nullptr, "OpenSSL refuses");
  BIO_free(in);
  ASN1_TIME* now = X509_gmtime_adj(nullptr, -60);
  ASN1_TIME* next = X509_gmtime_adj(nullptr, kDaySeconds);
  X509_CRL* list = X509_CRL_new();
  X509_CRL_set_version(list, 1);
  X509_NAME* issuer = X509_get_subject_name(state_->certificate);
  X509_CRL_set_issuer_name(list, issuer);
  X509_CRL_set1_lastUpdate(list, now);
  X509_CRL_set1_nextUpdate(list, next);
  X509_REVOKED* revoked = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(certificate));
  X509_REVOKED_set_revocationDate(revoked, now);
  X509_CRL_add0_revoked(list, revoked);
  RECLAIM_CHECK(X509_CRL_sign(list, state_->key, EVP_sha256()) > 0,
                "OpenSSL refuses");
  RevocationList out;
  out.file_name = absl::StrFormat(
      "%08x.r0", X509_NAME_hash_ex(issuer, nullptr, nullptr, nullptr));
  out.pem = ToPem(list, [](BIO* file, X509_CRL* object) {
    return PEM_write_bio_X509_CRL(file, object);
  });
  X509_CRL_free(list);
  ASN1_TIME_free(now);
  ASN1_TIME_free(next);
  X509_free(certificate);
  return out;
}

}  // namespace reclaim::rpc
