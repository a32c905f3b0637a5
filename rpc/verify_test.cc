// What `verify` finds, as a client hears it: trees and records that are changed
// behind the daemon's back.

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "index/engine.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Stores = v1::StoreService::Stub;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr char kRepositories[] = "docker/registry/v2/repositories/";
constexpr char kConfigType[] = "application/vnd.oci.image.config.v1+json";
constexpr char kEmptyType[] = "application/vnd.oci.empty.v1+json";
constexpr char kLayerType[] = "application/vnd.oci.image.layer.v1.tar";
constexpr char kConfig[] = R"({"os":"linux","architecture":"amd64"})";
constexpr std::array<index::Family, 3> kFamilies = {
    index::Family::kContent, index::Family::kNamed, index::Family::kMembership};

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

std::string Descriptor(const std::string& type, const std::string& bytes,
                       size_t size, const std::string& extra = "") {
  return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")",
                      D(bytes).ToString(), R"(","size":)", size, extra, "}");
}
// With a descriptor that is true.
std::string Descriptor(const std::string& type, const std::string& bytes) {
  return Descriptor(type, bytes, bytes.size());
}
// With its content in it; `data` is what is said to be that.
std::string Embedding(const std::string& bytes, const std::string& data) {
  return Descriptor(
      kEmptyType, bytes, bytes.size(),
      absl::StrCat(R"(,"data":")", absl::Base64Escape(data), R"(")"));
}
std::string ImageOf(const std::string& config,
                    const std::vector<std::string>& layers) {
  return absl::StrCat(
      R"({"schemaVersion":2,"mediaType":)",
      R"("application/vnd.oci.image.manifest.v1+json","config":)", config,
      R"(,"layers":[)", absl::StrJoin(layers, ","), "]}");
}

class VerifyTest : public ServerFixture {
 protected:
  // What begins with a tree calls Begin().
  void SetUp() override {}
  void Begin() {
    Age();
    for (const std::string& path : future_) {
      SetTime(path, clock_.Now() + absl::Hours(1));
    }
    ServerFixture::SetUp();
    AddStore("registry");
  }
  // Or with records of a client.
  void BeginExternal() {
    ServerFixture::SetUp();
    v1::RegisterStoreRequest add;
    add.set_name("engine");
    add.set_uri("external:engine");
    v1::Store store;
    ASSERT_TRUE(Ask(store_stub_, &Stores::RegisterStore, add, &store).ok());
  }

  void SetTime(const std::string& path, absl::Time time) {
    const struct timespec times[2] = {{absl::ToUnixSeconds(time), 0},
                                      {absl::ToUnixSeconds(time), 0}};
    const std::string full = absl::StrCat(folder_.path(), "/", path);
    ASSERT_EQ(utimensat(AT_FDCWD, full.c_str(), times, 0), 0);
  }
  // A tagged image of one config and one layer, whose descriptors are true.
  oci::Digest PutImage() {
    tree_.Layer("app", kConfig);
    tree_.Layer("app", "layer");
    return PutManifest(ImageOf(Descriptor(kConfigType, kConfig),
                               {Descriptor(kLayerType, "layer")}));
  }
  oci::Digest PutManifest(const std::string& text,
                          const std::string& tag = "v1") {
    const oci::Digest digest = tree_.Manifest("app", text);
    tree_.Tag("app", tag, digest);
    return digest;
  }

  std::vector<v1::Finding> Verify(bool read_data = false) {
    v1::VerifyStoreRequest request;
    request.set_read_data(read_data);
    grpc::ClientContext context;
    const auto reader = store_stub_->VerifyStore(&context, request);
    v1::VerifyStoreResponse response;
    std::vector<v1::Finding> findings;
    while (reader->Read(&response)) {
      findings.insert(findings.end(), response.findings().begin(),
                      response.findings().end());
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.is_complete());
    EXPECT_EQ(response.finding_count(), findings.size());
    for (const v1::Finding& finding : findings) {
      EXPECT_FALSE(finding.advice().empty()) << finding.check();
    }
    return findings;
  }
  // "check severity subject" of each.
  std::vector<std::string> Words(bool read_data = false) {
    std::vector<std::string> words;
    for (const v1::Finding& finding : Verify(read_data)) {
      words.push_back(absl::StrCat(
          finding.check(),
          finding.severity() == v1::FINDING_SEVERITY_DAMAGE    ? " damage "
          : finding.severity() == v1::FINDING_SEVERITY_WARNING ? " warning "
                                                               : " note ",
          finding.subject()));
    }
    return words;
  }

  void SetHour(int hours, google::protobuf::Timestamp* time) {
    time->set_seconds(absl::ToUnixSeconds(clock_.Now() + absl::Hours(hours)));
  }

  using Rows = std::map<std::string, std::string>;
  Rows RowsOf(index::Family family) const {
    Rows rows;
    EXPECT_THAT(
        engine_->Scan(family, "", "",
                      [&rows](absl::string_view key, absl::string_view value) {
                        rows[std::string(key)] = std::string(value);
                        return true;
                      }),
        base::IsOk());
    return rows;
  }
  void PutRows(index::Family family, const Rows& rows, bool are_there) {
    index::Batch batch;
    for (const auto& [key, value] : rows) {
      if (are_there) {
        batch.Put(family, key, value);
      } else {
        batch.Delete(family, key);
      }
    }
    ASSERT_THAT(engine_->Commit(batch, index::Durability::kBuffered),
                base::IsOk());
  }

  store::RegistryTree tree_{&folder_};
  std::vector<std::string> future_;  // files of an hour from now
};

TEST_F(VerifyTest, OfWhatIsWholeThereIsNothingToSay) {
  PutImage();
  Begin();
  EXPECT_THAT(Words(), IsEmpty());
  EXPECT_THAT(Words(/*read_data=*/true), IsEmpty());
}

TEST_F(VerifyTest, ARecordThatIsGoneIsMissing) {
  PutImage();
  Begin();
  for (const index::Family family : kFamilies) {
    SCOPED_TRACE(index::ToString(family));
    const Rows rows = RowsOf(family);
    ASSERT_FALSE(rows.empty());
    PutRows(family, rows, /*are_there=*/false);
    const std::vector<v1::Finding> findings = Verify();
    EXPECT_EQ(findings.size(), rows.size());
    for (const v1::Finding& finding : findings) {
      EXPECT_EQ(finding.check(), "missing-record");
      EXPECT_EQ(finding.severity(), v1::FINDING_SEVERITY_DAMAGE);
    }
    PutRows(family, rows, /*are_there=*/true);
    EXPECT_THAT(Words(), IsEmpty());
  }
}

// Links decide what goes with a repository, and whose bytes are whose.
TEST_F(VerifyTest, ARecordOfBeforeIsNoneOfNow) {
  const oci::Digest image = PutImage();
  const oci::Digest other =
      tree_.Manifest("app", ImageOf(Descriptor(kConfigType, kConfig), {}));
  Begin();
  std::map<index::Family, Rows> before;
  for (const index::Family family : kFamilies) before[family] = RowsOf(family);
  v1::RecordRequest request;
  v1::PutBlob* blob = request.add_operations()->mutable_put_blob();
  blob->mutable_name()->set_digest(D("layer").ToString());
  blob->mutable_bytes()->set_logical_bytes(99);
  v1::PutTag* tag = request.add_operations()->mutable_put_tag();
  tag->set_repository("app");
  tag->set_tag("v1");
  tag->set_digest(other.ToString());
  v1::PutMembership* link = request.add_operations()->mutable_put_membership();
  link->set_repository("app");
  link->set_digest(image.ToString());
  link->set_kind(v1::MEMBERSHIP_KIND_REVISION);
  SetHour(0, link->mutable_link_time());
  v1::RemoveMembership* gone =
      request.add_operations()->mutable_remove_membership();
  gone->set_repository("app");
  gone->set_digest(D("layer").ToString());
  gone->set_kind(v1::MEMBERSHIP_KIND_LAYER);
  Record(request);
  for (const auto& [family, rows] : before) {
    PutRows(family, rows, /*are_there=*/true);
  }
  std::vector<std::string> details;
  for (const v1::Finding& finding : Verify()) {
    if (finding.check() != "record-mismatch") continue;
    EXPECT_EQ(finding.severity(), v1::FINDING_SEVERITY_DAMAGE);
    details.push_back(finding.detail());
  }
  for (const char* detail :
       {"the sizes differ", "the edges differ", "the times differ",
        "the graph has no such link"}) {
    EXPECT_THAT(details, Contains(detail));
  }
}

TEST_F(VerifyTest, AFileOfAnotherSizeIsFound) {
  PutImage();
  Begin();
  folder_.Write(tree_.BlobPath(D("layer")), "a longer layer");
  const std::vector<v1::Finding> findings = Verify();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].check(), "size-differs");
  EXPECT_EQ(findings[0].severity(), v1::FINDING_SEVERITY_WARNING);
  EXPECT_EQ(findings[0].subject(), D("layer").ToString());
  EXPECT_THAT(findings[0].detail(), HasSubstr("recorded 5 ("));
  EXPECT_THAT(findings[0].detail(), HasSubstr("found 14 ("));
}

TEST_F(VerifyTest, WhatIsTakenOutOfQuarantineIsMissed) {
  PutImage();
  const oci::Digest garbage = tree_.Blob("nothing names me");
  Begin();
  PruneSystem();
  EXPECT_THAT(Words(), IsEmpty());
  std::vector<std::filesystem::path> taken;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           folder_.path() + "/.reclaim/quarantine")) {
    if (entry.path().filename() == garbage.hex()) taken.push_back(entry.path());
  }
  ASSERT_FALSE(taken.empty());
  for (const auto& path : taken) std::filesystem::remove_all(path);
  EXPECT_THAT(Words(),
              ElementsAre("missing-quarantine warning " + garbage.ToString()));
}

TEST_F(VerifyTest, ALinkThatCanNotBeReadIsTold) {
  PutImage();
  Begin();
  folder_.Write(
      absl::StrCat(kRepositories, "app/_manifests/tags/torn/current/link"),
      "no digest");
  const std::vector<std::string> words = Words();
  EXPECT_THAT(words, Contains(HasSubstr("app/_manifests/tags/torn")));
  for (const std::string& word : words) {
    EXPECT_THAT(word, StartsWith("unreadable warning "));
  }
}

TEST_F(VerifyTest, ASizeThatADescriptorGotWrongIsTold) {
  tree_.Layer("app", kConfig);
  tree_.Layer("app", "layer");
  const oci::Digest image =
      PutManifest(ImageOf(Descriptor(kConfigType, kConfig),
                          {Descriptor(kLayerType, "layer", 6),
                           Descriptor(kLayerType, "it is not here", 1)}));
  Begin();
  EXPECT_THAT(Words(), IsEmpty()) << "manifests are not read";
  const std::vector<v1::Finding> findings = Verify(/*read_data=*/true);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].check(), "declared-size");
  EXPECT_EQ(findings[0].severity(), v1::FINDING_SEVERITY_WARNING);
  EXPECT_EQ(findings[0].subject(), D("layer").ToString());
  EXPECT_EQ(findings[0].detail(),
            absl::StrCat("its descriptor in ", image.ToString(),
                         " says 6 bytes, it has 5"));
}

TEST_F(VerifyTest, ASubjectHasASizeAsWell) {
  const oci::Digest image = PutImage();
  tree_.Layer("app", "{}");
  // The descriptor of its subject says one byte, and so do the others.
  PutManifest(store::ImageText({D("{}"), D("layer")}, image), "signature");
  Begin();
  EXPECT_THAT(
      Words(/*read_data=*/true),
      UnorderedElementsAre("declared-size warning " + image.ToString(),
                           "declared-size warning " + D("layer").ToString(),
                           "declared-size warning " + D("{}").ToString()));
}

TEST_F(VerifyTest, AnAbsentBlobThatItsManifestEmbedsIsANote) {
  tree_.Layer("app", "note");
  PutManifest(ImageOf(Embedding("{}", "{}"), {Descriptor(kLayerType, "note")}));
  Begin();
  EXPECT_THAT(Words(), IsEmpty()) << "manifests are not read";
  EXPECT_THAT(Words(/*read_data=*/true),
              ElementsAre("embedded-data note " + D("{}").ToString()));
}

TEST_F(VerifyTest, DataThatIsNotTheContentEmbedsNothing) {
  PutManifest(ImageOf(Embedding("{}", "[]"), {}), "another-digest");
  PutManifest(ImageOf(Descriptor(kEmptyType, "{}", 3, R"(,"data":"e30=")"), {}),
              "another-size");
  Begin();
  EXPECT_THAT(Words(/*read_data=*/true), IsEmpty());
}

TEST_F(VerifyTest, ALostBlobThatIsEmbeddedIsNoDamage) {
  tree_.Layer("app", "{}");
  PutManifest(ImageOf(Embedding("{}", "{}"), {}));
  Begin();
  folder_.Remove(tree_.BlobPath(D("{}")));
  const std::vector<std::string> words = Words();
  EXPECT_THAT(words, Contains("embedded-data note " + D("{}").ToString()));
  EXPECT_THAT(words, Not(Contains(HasSubstr("missing-blob"))));
}

TEST_F(VerifyTest, ALostBlobIsDamageToWhatDoesNotEmbedIt) {
  tree_.Layer("app", "{}");
  PutManifest(ImageOf(Embedding("{}", "{}"), {}));
  PutManifest(ImageOf(Descriptor(kEmptyType, "{}"), {}), "v2");
  Begin();
  folder_.Remove(tree_.BlobPath(D("{}")));
  EXPECT_THAT(Words(), Contains("missing-blob damage " + D("{}").ToString()));
}

// The clock says 2026-01-02T03:04:05Z.
TEST_F(VerifyTest, ATimeInTheFutureIsANote) {
  const std::string config = R"({"created":"2026-01-03T00:00:00Z"})";
  tree_.Layer("app", config);
  PutManifest(ImageOf(Descriptor(kConfigType, config), {}));
  const oci::Digest young = tree_.Blob("written by a clock that is ahead");
  future_ = {tree_.BlobPath(young)};
  Begin();
  EXPECT_THAT(Words(),
              UnorderedElementsAre("future-time note " + young.ToString(),
                                   "future-time note " + D(config).ToString()));
  clock_.Advance(absl::Hours(21));
  EXPECT_THAT(Words(), IsEmpty());
}

TEST_F(VerifyTest, ARecordOfTheFutureIsANote) {
  BeginExternal();
  v1::RecordRequest request;
  v1::PutContainer* web = request.add_operations()->mutable_put_container();
  web->set_id("web");
  SetHour(1, web->mutable_create_time());
  v1::PutVolume* data = request.add_operations()->mutable_put_volume();
  data->set_name("data");
  SetHour(1, data->mutable_create_time());
  // Less than clocks may differ by.
  v1::PutVolume* now = request.add_operations()->mutable_put_volume();
  now->set_name("now");
  now->mutable_create_time()->set_seconds(
      absl::ToUnixSeconds(clock_.Now() + absl::Seconds(30)));
  v1::PutTag* tag = request.add_operations()->mutable_put_tag();
  tag->set_repository("app");
  tag->set_tag("v1");
  tag->set_digest(D("image").ToString());
  SetHour(1, tag->mutable_push_time());
  Record(request);
  EXPECT_THAT(Words(), UnorderedElementsAre("future-time note container web",
                                            "future-time note volume data",
                                            "future-time note tag app:v1"));
}

TEST_F(VerifyTest, OfManyAlikeAHundredAreTold) {
  BeginExternal();
  v1::RecordRequest request;
  for (int i = 0; i < 150; ++i) {
    v1::PutVolume* put = request.add_operations()->mutable_put_volume();
    put->set_name(absl::StrCat("v", i));
    SetHour(1, put->mutable_create_time());
  }
  Record(request);
  const std::vector<v1::Finding> findings = Verify();
  ASSERT_EQ(findings.size(), 101u);
  for (const v1::Finding& finding : findings) {
    EXPECT_EQ(finding.check(), "future-time");
  }
  EXPECT_EQ(findings.back().detail(), "50 more of these");
}

// What has ended by the graph's time has ended, whatever the clock says now.
TEST_F(VerifyTest, AClockThatWasSetBackMakesNoCounterWrong) {
  options_.grace_period = absl::Hours(24);
  BeginExternal();
  const absl::Time start = clock_.Now();
  v1::RecordRequest request;
  v1::PutBlob* blob = request.add_operations()->mutable_put_blob();
  blob->mutable_name()->set_digest(D("young").ToString());
  blob->mutable_bytes()->set_logical_bytes(5);
  Record(request);
  clock_.Advance(absl::Hours(25));
  EXPECT_THAT(Words(), IsEmpty());
  clock_.Jump(start);
  EXPECT_THAT(Words(), IsEmpty());

  // Nor does it after a restart, with what is on record.
  clock_.Advance(absl::Hours(25));
  v1::RecordRequest later;
  later.add_operations()->mutable_put_volume()->set_name("later");
  Record(later);
  clock_.Jump(start);
  RestartServer();
  EXPECT_THAT(Words(), ElementsAre("future-time note volume later"));
}

class SnapshotTest : public VerifyTest {
 protected:
  oci::Digest AddImage(const std::string& config, const std::string& tag) {
    v1::PutBlob* blob = request_.add_operations()->mutable_put_blob();
    blob->mutable_name()->set_digest(D(config).ToString());
    blob->mutable_bytes()->set_logical_bytes(config.size());
    std::vector<std::string> layers;
    if (has_layers_) layers.push_back(Descriptor(kLayerType, "layer"));
    const std::string text = ImageOf(Descriptor(kConfigType, config), layers);
    request_.add_operations()->mutable_put_manifest()->set_manifest(text);
    v1::PutImageConfig* details =
        request_.add_operations()->mutable_put_image_config();
    details->mutable_name()->set_digest(D(config).ToString());
    details->set_config(config);
    if (tag.empty()) return D(text);
    v1::PutTag* put = request_.add_operations()->mutable_put_tag();
    put->set_repository("app");
    put->set_tag(tag);
    put->set_digest(D(text).ToString());
    return D(text);
  }
  v1::PutSnapshot* AddSnapshot(const std::string& key,
                               const std::string& parent) {
    v1::PutSnapshot* put = request_.add_operations()->mutable_put_snapshot();
    put->set_key(key);
    put->set_parent(parent);
    put->set_size_bytes(100);
    return put;
  }

  v1::RecordRequest request_;
  bool has_layers_ = true;
};

TEST_F(SnapshotTest, AnImageThatIsNotUnpackedIsANote) {
  BeginExternal();
  const std::string unpacked = R"({"os":"linux","architecture":"amd64","x":1})";
  AddImage(unpacked, "v1");
  AddSnapshot("base", "");
  AddSnapshot("top", "base")->add_unpacked_from_digests(D(unpacked).ToString());
  const oci::Digest packed =
      AddImage(R"({"os":"linux","architecture":"amd64","x":2})", "v2");
  // Garbage, an image for other machines, and an artifact.
  AddImage(R"({"os":"linux","architecture":"amd64","x":3})", "");
  AddImage(R"({"os":"linux","architecture":"arm64"})", "v4");
  AddImage(R"({"os":"unknown","architecture":"unknown"})", "v5");
  AddImage("{}", "v6");
  // And one that there is nothing to unpack of.
  has_layers_ = false;
  AddImage(R"({"os":"linux","architecture":"amd64","x":4})", "v7");
  Record(request_);
  EXPECT_THAT(Words(),
              ElementsAre("missing-snapshot note " + packed.ToString()));
}

TEST_F(SnapshotTest, WhereNothingIsUnpackedThereIsNothingToSay) {
  BeginExternal();
  AddImage(kConfig, "v1");
  Record(request_);
  EXPECT_THAT(Words(), IsEmpty());
}

TEST_F(SnapshotTest, WhatStandsOnASnapshotThatIsNotThereIsANote) {
  BeginExternal();
  // It comes after its child, which is no matter.
  AddSnapshot("late child", "late");
  AddSnapshot("late", "");
  AddSnapshot("orphaned", "gone");
  for (const char* snapshot : {"late", "gone"}) {
    v1::PutContainer* put = request_.add_operations()->mutable_put_container();
    put->set_id(absl::StrCat("on ", snapshot));
    put->set_snapshot(snapshot);
  }
  Record(request_);
  EXPECT_THAT(Words(),
              UnorderedElementsAre("missing-snapshot note snapshot orphaned",
                                   "missing-snapshot note container on gone"));
}

}  // namespace
}  // namespace reclaim::rpc
