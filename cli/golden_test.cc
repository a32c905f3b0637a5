// Docker's shapes, byte for byte: what is printed against the files in golden/.
//
// A change of one of these files is a change of our surface: scripts read it.

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/command_fixture.h"
#include "cli/prune_warning.h"

namespace reclaim::cli {
namespace {

constexpr char kOciType[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kConfigType[] = "application/vnd.oci.image.config.v1+json";
constexpr char kLayerType[] = "application/vnd.oci.image.layer.v1.tar+gzip";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// An external store with what an orchestrator has recorded.
class GoldenTest : public CommandFixture {
 protected:
  void SetUp() override {
    CommandFixture::SetUp();
    ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e",
                   "--knows-containers"}),
              kDone);
  }

  // The last output is the file's text.
  void ExpectGolden(const std::string& name, const std::string& text) {
    EXPECT_EQ(text, ReadFile("cli/golden/" + name + ".txt"))
        << "cli/golden/" << name << ".txt";
  }

  std::string Descriptor(const std::string& type, const oci::Digest& digest,
                         uint64_t bytes) {
    return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")",
                        digest.ToString(), R"(","size":)", bytes, "}");
  }

  void SetTime(absl::Duration age, google::protobuf::Timestamp* time) {
    time->set_seconds(absl::ToUnixSeconds(clock_.Now() - age));
  }

  void AddBlob(const oci::Digest& digest, uint64_t bytes) {
    auto* put = request_.add_operations()->mutable_put_blob();
    put->mutable_name()->set_digest(digest.ToString());
    put->mutable_bytes()->set_logical_bytes(bytes);
    put->mutable_bytes()->set_allocated_bytes(bytes);
    SetTime(absl::Hours(2000), put->mutable_modify_time());
  }

  // An image of `age` with a base layer that all share and one of its own.
  void AddImage(const std::string& repository, const std::string& tag,
                const std::string& own, uint64_t own_bytes,
                absl::Duration age) {
    const std::string created = absl::FormatTime(
        absl::RFC3339_sec, clock_.Now() - age, absl::UTCTimeZone());
    const oci::Digest base = oci::Digest::Sha256Of("base");
    const oci::Digest layer = oci::Digest::Sha256Of(own);
    const std::string config = absl::StrCat(
        R"({"created":")", created,
        R"(","architecture":"amd64","os":"linux","history":[{"created":")",
        created,
        R"(","created_by":"/bin/sh -c #(nop) ADD file:0123456789abcdef in / "},)",
        R"({"created":")", created, R"(","created_by":"COPY )", own,
        R"( /","comment":"buildkit"},{"created":")", created,
        R"(","created_by":"CMD [\"/bin/sh\"]","empty_layer":true}],)",
        R"("rootfs":{"type":"layers","diff_ids":[")", base.ToString(), R"(",")",
        layer.ToString(), R"("]}})");
    const oci::Digest config_digest = oci::Digest::Sha256Of(config);
    AddBlob(base, 77'800'000);
    AddBlob(layer, own_bytes);
    AddBlob(config_digest, config.size());
    const std::string manifest = absl::StrCat(
        R"({"schemaVersion":2,"mediaType":")", kOciType, R"(","config":)",
        Descriptor(kConfigType, config_digest, config.size()), R"(,"layers":[)",
        Descriptor(kLayerType, base, 77'800'000), ",",
        Descriptor(kLayerType, layer, own_bytes), "]}");
    auto* put = request_.add_operations()->mutable_put_manifest();
    put->mutable_name()->set_digest(oci::Digest::Sha256Of(manifest).ToString());
    put->set_manifest(manifest);
    put->set_media_type(kOciType);
    SetTime(absl::Hours(2000), put->mutable_modify_time());
    auto* details = request_.add_operations()->mutable_put_image_config();
    details->mutable_name()->set_digest(config_digest.ToString());
    details->set_config(config);
    last_ = oci::Digest::Sha256Of(manifest).ToString();
    if (tag.empty()) return;
    auto* name = request_.add_operations()->mutable_put_tag();
    name->set_repository(repository);
    name->set_tag(tag);
    name->set_digest(last_);
  }

  void AddContainer(const std::string& name, v1::ContainerState state,
                    const std::string& reference, uint64_t bytes) {
    auto* put = request_.add_operations()->mutable_put_container();
    put->set_id(oci::Digest::Sha256Of(name).hex());
    put->set_name(name);
    put->set_state(state);
    put->set_image_reference(reference);
    put->set_image_digest(last_);
    put->set_command("nginx -g daemon off;");
    put->set_writable_bytes(bytes);
    put->add_volumes("db");
    SetTime(absl::Hours(3), put->mutable_create_time());
  }

  void Fill() {
    auto* volume = request_.add_operations()->mutable_put_volume();
    volume->set_name("db");
    volume->set_size_bytes(1114);
    auto* idle = request_.add_operations()->mutable_put_volume();
    idle->set_name("idle");
    idle->set_size_bytes(36);
    auto* cache = request_.add_operations()->mutable_put_build_cache();
    cache->set_id("p4m8g1uv34lxa0hk5rw0xky9g");
    cache->set_type("regular");
    cache->set_size_bytes(12'300);
    cache->set_usage_count(2);
    SetTime(absl::Hours(50), cache->mutable_create_time());
    SetTime(absl::Minutes(90), cache->mutable_last_used_time());
    AddImage("library/nginx", "1.27", "nginx", 114'200'000, absl::Hours(240));
    AddContainer("web", v1::CONTAINER_STATE_RUNNING, "library/nginx:1.27",
                 1114);
    AddContainer("old", v1::CONTAINER_STATE_EXITED, "library/nginx:1.27", 2000);
    AddImage("alpine", "latest", "alpine", 4'800'000, absl::Hours(24 * 63));
    AddImage("", "", "dangling", 9'000'000, absl::Hours(24 * 800));
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &v1::GraphService::Stub::Record, request_, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.problems_size(), 0) << response.problems(0);
  }

  v1::RecordRequest request_;
  std::string last_;
};

// The first lines of `text`.
std::string Head(const std::string& text, int lines) {
  size_t at = 0;
  while (lines-- > 0) at = text.find('\n', at) + 1;
  return text.substr(0, at);
}

TEST_F(GoldenTest, AnEmptyService) {
  ASSERT_EQ(Run({"system", "df"}), kDone) << err_;
  // Our own rows come after Docker's.
  ExpectGolden("df_empty", Head(out_, 5));
  ASSERT_EQ(Run({"system", "df", "-v"}), kDone) << err_;
  ExpectGolden("df_v_empty", out_);
  ASSERT_EQ(Run({"image", "ls"}), kDone) << err_;
  ExpectGolden("image_ls_empty", out_);
}

TEST_F(GoldenTest, AFullOne) {
  Fill();
  ASSERT_EQ(Run({"system", "df"}), kDone) << err_;
  ExpectGolden("df", Head(out_, 5));
  ASSERT_EQ(Run({"system", "df", "--format", "json"}), kDone) << err_;
  ExpectGolden("df_json", Head(out_, 4));
  ASSERT_EQ(Run({"system", "df", "-v"}), kDone) << err_;
  ExpectGolden("df_v", out_);
  ASSERT_EQ(Run({"image", "ls"}), kDone) << err_;
  ExpectGolden("image_ls", out_);
  ASSERT_EQ(Run({"image", "ls", "--digests", "--no-trunc"}), kDone) << err_;
  ExpectGolden("image_ls_digests", out_);
  ASSERT_EQ(Run({"image", "ls", "-q", "-f", "dangling=true"}), kDone) << err_;
  ExpectGolden("image_ls_quiet", out_);
}

// The bytes of an external store are elsewhere: a layout has a history.
TEST_F(GoldenTest, History) {
  store::TempFolder folder;
  store::LayoutTree layout(&folder, "l");
  const oci::Digest base = layout.Blob(std::string(4'800'000, 'b'));
  const oci::Digest app = layout.Blob("the layer of app");
  const oci::Digest config = layout.Blob(ReadFile("cli/golden/config.txt"));
  const oci::Digest image = layout.Blob(
      absl::StrCat(R"({"schemaVersion":2,"mediaType":")", kOciType,
                   R"(","config":)", Descriptor(kConfigType, config, 1),
                   R"(,"layers":[)", Descriptor(kLayerType, base, 1), ",",
                   Descriptor(kLayerType, app, 1), "]}"));
  layout.Entry(image, "latest");
  ASSERT_EQ(Run({"store", "add", "image-layout:" + folder.path() + "/l",
                 "--name", "l"}),
            kDone)
      << err_;
  ASSERT_EQ(Run({"scan", "l"}), kDone) << err_;
  ASSERT_EQ(Run({"image", "history", "--store", "l", image.ToString()}), kDone)
      << err_;
  ExpectGolden("history", out_);
  ASSERT_EQ(Run({"image", "history", "--store", "l", "--human=false",
                 "--no-trunc", image.ToString()}),
            kDone)
      << err_;
  ExpectGolden("history_raw", out_);
  ASSERT_EQ(Run({"image", "history", "--store", "l", "-q", image.ToString()}),
            kDone)
      << err_;
  ExpectGolden("history_quiet", out_);
}

TEST_F(GoldenTest, ImagePrune) {
  Fill();
  EXPECT_EQ(Run({"image", "prune"}, "", true), kDeclined);
  ASSERT_EQ(Run({"image", "prune", "-a", "-f", "--quiet", "--allow-large",
                 "--containers-are-complete"}),
            kDone)
      << err_;
  ExpectGolden("image_prune", out_);
  ASSERT_EQ(Run({"image", "prune", "-f"}), kDone) << err_;
  EXPECT_EQ(out_, "Total reclaimed space: 0B\n");
}

TEST(PruneWarningTest, TheTextsAreDockers) {
  const std::string sure = "Are you sure you want to continue?";
  const auto of = [](v1::PruneVerb verb, auto set) {
    v1::CreatePlanRequest request;
    request.set_verb(verb);
    set(&request);
    return PruneWarning(request);
  };
  const auto plain = [](v1::CreatePlanRequest*) {};
  EXPECT_EQ(of(v1::PRUNE_VERB_IMAGES, plain),
            "WARNING! This will remove all dangling images.\n" + sure);
  EXPECT_EQ(of(v1::PRUNE_VERB_ALL_IMAGES, plain),
            "WARNING! This will remove all images without at least one "
            "container associated to them.\n" +
                sure);
  EXPECT_EQ(of(v1::PRUNE_VERB_CONTAINERS, plain),
            "WARNING! This will remove all stopped containers.\n" + sure);
  EXPECT_EQ(of(v1::PRUNE_VERB_VOLUMES, plain),
            "WARNING! This will remove anonymous local volumes not used by at "
            "least one container.\n" +
                sure);
  EXPECT_EQ(of(v1::PRUNE_VERB_VOLUMES,
               [](auto* request) { request->set_all_volumes(true); }),
            "WARNING! This will remove all local volumes not used by at least "
            "one container.\n" +
                sure);
  EXPECT_EQ(of(v1::PRUNE_VERB_NETWORKS, plain),
            "WARNING! This will remove all custom networks not used by at "
            "least one container.\n" +
                sure);
  EXPECT_EQ(of(v1::PRUNE_VERB_BUILD_CACHE, plain),
            "WARNING! This will remove all dangling build cache. " + sure);
  EXPECT_EQ(of(v1::PRUNE_VERB_BUILD_CACHE,
               [](auto* request) { request->set_all_cache(true); }),
            "WARNING! This will remove all build cache. " + sure);
}

TEST(PruneWarningTest, OfTheWholeSystem) {
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_SYSTEM);
  EXPECT_EQ(PruneWarning(request),
            ReadFile("cli/golden/system_prune_warning.txt"));
  request.set_all_images(true);
  request.set_all_cache(true);
  request.set_with_volumes(true);
  for (const char* filter :
       {"until=24h", "label=hello-world", "label!=foo=bar", "label=bar=baz"}) {
    request.add_filters(filter);
  }
  EXPECT_EQ(PruneWarning(request),
            ReadFile("cli/golden/system_prune_all_warning.txt"));
}

}  // namespace
}  // namespace reclaim::cli
