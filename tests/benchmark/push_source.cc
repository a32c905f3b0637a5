#include "tests/benchmark/push_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "oci/digest.h"

namespace reclaim::benchmark {
namespace {

constexpr char kOci[] = "application/vnd.oci.image.";
constexpr uint64_t kConfigBytes = 3'000;
constexpr uint64_t kBaseBytes = 1'000'000;
constexpr uint64_t kLayerBytes = 20'000;

Blob BlobOf(std::string bytes, uint64_t size) {
  Blob blob;
  blob.digest = oci::Digest::Sha256Of(bytes).ToString();
  blob.size = size;
  blob.bytes = std::move(bytes);
  return blob;
}

std::string Descriptor(const char* type, const Blob& blob) {
  return absl::StrCat("{\"mediaType\":\"", kOci, type, "\",\"digest\":\"",
                      blob.digest, "\",\"size\":", blob.size, "}");
}

std::string ManifestOf(const Push& push) {
  std::vector<std::string> layers;
  layers.reserve(push.known.size() + push.added.size());
  for (const Blob& blob : push.known) {
    layers.push_back(Descriptor("layer.v1.tar", blob));
  }
  for (size_t i = 1; i < push.added.size(); ++i) {
    layers.push_back(Descriptor("layer.v1.tar", push.added[i]));
  }
  return absl::StrCat("{\"schemaVersion\":2,\"mediaType\":\"", kOci,
                      "manifest.v1+json\",\"config\":",
                      Descriptor("config.v1+json", push.added[0]),
                      ",\"layers\":[", absl::StrJoin(layers, ","), "]}");
}

}  // namespace

uint64_t Push::added_bytes() const {
  uint64_t sum = manifest.size;
  for (const Blob& blob : added) sum += blob.size;
  return sum;
}

PushSource::PushSource(PushOptions options) : options_(std::move(options)) {}

Blob PushSource::MakeBlob(std::string bytes, uint64_t size) const {
  if (options_.is_real) size = bytes.size();
  return BlobOf(std::move(bytes), size);
}

Push PushSource::Next(bool knows_base) {
  const std::string name = absl::StrCat(options_.repository, " ", number_);
  Push push;
  push.repository = options_.repository;
  push.tag = absl::StrCat("v", number_);
  push.added.push_back(MakeBlob(
      absl::StrCat("{\"os\":\"linux\",\"of\":\"", name, "\"}"), kConfigBytes));
  if (knows_base && !options_.bases.empty()) {
    push.known.push_back(options_.bases[number_ % options_.bases.size()]);
  } else {
    push.added.push_back(MakeBlob(absl::StrCat("base of ", name), kBaseBytes));
  }
  push.added.push_back(MakeBlob(absl::StrCat("layer of ", name), kLayerBytes));
  std::string manifest = ManifestOf(push);
  const uint64_t size = manifest.size();
  push.manifest = BlobOf(std::move(manifest), size);
  ++number_;
  return push;
}

Blob MakeBase(size_t number) {
  return BlobOf(absl::StrCat("base ", number), kBaseBytes);
}

void AddBlobs(const std::string& store, const std::vector<Blob>& blobs,
              v1::RecordRequest* request) {
  for (const Blob& blob : blobs) {
    v1::PutBlob& put = *request->add_operations()->mutable_put_blob();
    put.mutable_name()->set_store(store);
    put.mutable_name()->set_digest(blob.digest);
    put.mutable_bytes()->set_logical_bytes(blob.size);
    put.mutable_bytes()->set_allocated_bytes(blob.size);
  }
}

void AddPush(const std::string& store, const Push& push,
             v1::RecordRequest* request) {
  AddBlobs(store, push.added, request);
  v1::PutManifest& put = *request->add_operations()->mutable_put_manifest();
  put.mutable_name()->set_store(store);
  put.mutable_name()->set_digest(push.manifest.digest);
  put.set_manifest(push.manifest.bytes);
  v1::PutTag& tag = *request->add_operations()->mutable_put_tag();
  tag.set_store(store);
  tag.set_repository(push.repository);
  tag.set_tag(push.tag);
  tag.set_digest(push.manifest.digest);
}

}  // namespace reclaim::benchmark
