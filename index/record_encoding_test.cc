// A text that is no UTF-8 never reaches the database, whichever field it comes
// in by: the mutation is refused, nothing of it is there, and the database
// opens.

#include "index/record_encoding.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/memory_engine.h"
#include "index/put_codec.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "reclaim/storage/v1/collection.pb.h"
#include "reclaim/storage/v1/history.pb.h"
#include "reclaim/storage/v1/policy.pb.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "reclaim/v1/graph.pb.h"
#include "reclaim/v1/lease.pb.h"

namespace reclaim::index {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;
using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

const char kBad[] = "caf\xe9";
constexpr int kDepthMax = 6;

// A place for a text in a message, and what puts one there.
struct TextField {
  std::string path;
  std::function<void(Message*, const std::string&)> set;
};

void SetText(Message* message, const FieldDescriptor* field,
             const std::string& text) {
  const Reflection* reflection = message->GetReflection();
  if (!field->is_repeated()) {
    reflection->SetString(message, field, text);
  } else if (reflection->FieldSize(*message, field) > 0) {
    reflection->SetRepeatedString(message, field, 0, text);
  } else {
    reflection->AddString(message, field, text);
  }
}

Message* Inner(Message* message, const FieldDescriptor* field) {
  const Reflection* reflection = message->GetReflection();
  if (!field->is_repeated()) return reflection->MutableMessage(message, field);
  if (reflection->FieldSize(*message, field) > 0) {
    return reflection->MutableRepeatedMessage(message, field, 0);
  }
  return reflection->AddMessage(message, field);
}

// Every text of a message and of those in it.
std::vector<TextField> TextFields(const Descriptor* descriptor, int depth = 0) {
  std::vector<TextField> fields;
  for (int i = 0; depth < kDepthMax && i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      fields.push_back({std::string(field->name()),
                        [field](Message* message, const std::string& text) {
                          SetText(message, field, text);
                        }});
    }
    if (field->type() != FieldDescriptor::TYPE_MESSAGE) continue;
    for (const TextField& inner :
         TextFields(field->message_type(), depth + 1)) {
      fields.push_back(
          {absl::StrCat(std::string(field->name()), ".", inner.path),
           [field, set = inner.set](Message* message, const std::string& text) {
             set(Inner(message, field), text);
           }});
    }
  }
  return fields;
}

// All records of a file of durable records.
void ExpectEachTextChecked(const FileDescriptor* file) {
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  for (int i = 0; i < file->message_type_count(); ++i) {
    const Descriptor* descriptor = file->message_type(i);
    for (const TextField& field : TextFields(descriptor)) {
      SCOPED_TRACE(
          absl::StrCat(std::string(descriptor->name()), ".", field.path));
      const Message* prototype = factory->GetPrototype(descriptor);
      std::unique_ptr<Message> record(prototype->New());
      field.set(record.get(), "caf\xc3\xa9");
      const auto good = EncodeRecord(*record);
      ASSERT_THAT(good, IsOk());
      EXPECT_TRUE(record->ParseFromString(*good));
      field.set(record.get(), kBad);
      const auto bad = EncodeRecord(*record);
      EXPECT_THAT(bad, StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("\"caf\\xe9\" is not UTF-8")));
    }
  }
}

TEST(RecordEncodingTest, EachTextOfEachRecordIsChecked) {
  ExpectEachTextChecked(storage::v1::NamedRecord::descriptor()->file());
  ExpectEachTextChecked(storage::v1::RunRecord::descriptor()->file());
  ExpectEachTextChecked(storage::v1::ScheduleRecord::descriptor()->file());
  ExpectEachTextChecked(storage::v1::UsageBucketRecord::descriptor()->file());
}

TEST(RecordEncodingTest, BytesAreNoText) {
  storage::v1::ContentRecord record;
  record.set_digest("\xff\xfe");
  EXPECT_THAT(EncodeRecord(record), IsOk());
}

class HostileTextTest : public ::testing::Test {
 protected:
  HostileTextTest() {
    Open();
    StoreRecord store;
    store.name = "s";
    EXPECT_THAT(graph_->RegisterStore(store), IsOk());
    PutBlob blob;
    blob.name = {"s", "", digest_};
    Mutation mutation;
    mutation.operations = {blob};
    EXPECT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  }

  void Open() {
    graph_.reset();
    auto opened = ReferenceGraph::Open(&engine_, &clock_, GraphOptions());
    ASSERT_THAT(opened, IsOk());
    graph_ = *std::move(opened);
  }

  // Whatever was answered, the database opens; what was refused is not there.
  void ExpectSafe(const absl::Status& status, uint64_t sequence_before) {
    if (!status.ok()) {
      EXPECT_EQ(graph_->Read()->sequence(), sequence_before);
    }
    Open();
  }
  absl::Status Apply(const Mutation& mutation) {
    const uint64_t before = graph_->Read()->sequence();
    const absl::Status status =
        graph_->Apply(mutation, Durability::kDurable).status();
    ExpectSafe(status, before);
    return status;
  }
  absl::Status Apply(Operation operation) {
    Mutation mutation;
    mutation.operations = {std::move(operation)};
    return Apply(mutation);
  }
  void ExpectRefused(Operation operation) {
    EXPECT_THAT(Apply(std::move(operation)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("is not UTF-8")));
  }

  template <typename Put>
  absl::Status ApplyPut(const absl::StatusOr<Put>& put) {
    return put.ok() ? Apply(Operation(*put)) : put.status();
  }
  template <typename Put>
  absl::Status ApplyPut(const Put& put) {
    return Apply(Operation(put));
  }

  // Spoils each text of what a client may put, one after the other.  `stored`
  // of them would be recorded.
  template <typename Proto>
  void ExpectEachTextSafe(const Proto& good, int stored) {
    int refused = 0;
    for (const TextField& field : TextFields(Proto::descriptor())) {
      SCOPED_TRACE(absl::StrCat(std::string(Proto::descriptor()->name()), ".",
                                field.path));
      Proto proto = good;
      field.set(&proto, kBad);
      const absl::Status status = ApplyPut(FromProto(proto));
      if (absl::StrContains(status.message(), "is not UTF-8")) ++refused;
    }
    EXPECT_GE(refused, stored) << Proto::descriptor()->name();
    EXPECT_THAT(ApplyPut(FromProto(good)), IsOk());
  }

  base::SimulatedClock clock_{absl::FromUnixSeconds(4102444800)};
  MemoryEngine engine_;
  std::unique_ptr<ReferenceGraph> graph_;
  const oci::Digest digest_ = oci::Digest::Sha256Of("blob");
};

TEST_F(HostileTextTest, InWhatClientsPut) {
  v1::PutRepository repository;
  repository.set_store("s");
  repository.set_repository("app");
  ExpectEachTextSafe(repository, 2);
  v1::PutTag tag;
  tag.set_store("s");
  tag.set_repository("app");
  tag.set_tag("v1");
  tag.set_digest(digest_.ToString());
  ExpectEachTextSafe(tag, 2);
  v1::PutSnapshot snapshot;
  snapshot.set_store("s");
  snapshot.set_key("k");
  ExpectEachTextSafe(snapshot, 4);
  v1::PutVolume volume;
  volume.set_store("s");
  volume.set_name("v");
  ExpectEachTextSafe(volume, 4);
  v1::PutNetwork network;
  network.set_store("s");
  network.set_name("n");
  ExpectEachTextSafe(network, 6);
  v1::PutContainer container;
  container.set_store("s");
  container.set_id("c");
  ExpectEachTextSafe(container, 5);
  v1::PutBuildCache cache;
  cache.set_store("s");
  cache.set_id("b");
  ExpectEachTextSafe(cache, 4);
  v1::PutUpload upload;
  upload.set_store("s");
  upload.set_repository("app");
  upload.set_id("u");
  ExpectEachTextSafe(upload, 2);
}

TEST_F(HostileTextTest, InWhatHolds) {
  v1::Lease lease;
  lease.set_store("s");
  lease.set_id("l");
  v1::ContentName* leased = lease.add_targets()->mutable_content();
  leased->set_store("s");
  leased->set_digest(digest_.ToString());
  ExpectEachTextSafe(lease, 4);
  v1::Pin pin;
  pin.set_store("s");
  pin.set_id("p");
  *pin.mutable_target() = lease.targets(0);
  ExpectEachTextSafe(pin, 2);
}

TEST_F(HostileTextTest, InWhatScansFind) {
  PutBlob blob;
  blob.name = {"s", kBad, digest_};
  ExpectRefused(blob);
  PutMembership member;
  member.store = "s";
  member.repository = kBad;
  member.digest = digest_;
  ExpectRefused(member);
  PutImageConfig config;
  config.name = {"s", "", digest_};
  for (std::string* text : {&config.os, &config.architecture, &config.variant,
                            &config.labels["label"]}) {
    *text = kBad;
    ExpectRefused(config);
    text->clear();
  }
  config.labels[kBad] = "";
  ExpectRefused(config);
}

// What a person reads is escaped instead: the mark must not be lost for it.
TEST_F(HostileTextTest, InReasonsItIsEscaped) {
  MarkUnreadable mark;
  mark.name = {"s", "", digest_};
  mark.why = kBad;
  EXPECT_THAT(Apply(mark), IsOk());
  PutManifest manifest;
  manifest.bytes = "{\"caf\xe9\": 1}";
  manifest.name = {"s", "", oci::Digest::Sha256Of(manifest.bytes)};
  Mutation mutation;
  mutation.operations = {manifest};
  mutation.request_id = "r";
  const auto applied = graph_->Apply(mutation, Durability::kDurable);
  ASSERT_THAT(applied, IsOk());
  EXPECT_THAT(applied->problems, testing::ElementsAre(HasSubstr("UTF-8")));
  Open();
  const auto again = graph_->Apply(mutation, Durability::kDurable);
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->was_replayed);
  EXPECT_EQ(again->problems, applied->problems);
}

TEST_F(HostileTextTest, InWhoDidIt) {
  Mutation mutation;
  mutation.actor = kBad;
  PutRepository repository;
  repository.store = "s";
  repository.repository = "app";
  mutation.operations = {repository};
  EXPECT_THAT(Apply(mutation), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(graph_->RememberAnswer("r", kBad),
              StatusIs(absl::StatusCode::kInvalidArgument));
  Open();
}

TEST_F(HostileTextTest, InStores) {
  for (std::string StoreRecord::*field :
       {&StoreRecord::name, &StoreRecord::uri}) {
    StoreRecord store;
    store.name = "t";
    store.*field = kBad;
    EXPECT_THAT(graph_->RegisterStore(store),
                StatusIs(absl::StatusCode::kInvalidArgument));
    Open();
  }
  StoreRecord seen = graph_->Stores()[0];
  seen.unreadable_scopes = {{kBad, "why"}};
  EXPECT_THAT(graph_->RecordScan(seen.id, seen),
              StatusIs(absl::StatusCode::kInvalidArgument));
  seen.unreadable_scopes = {{"", kBad}};
  EXPECT_THAT(graph_->RecordScan(seen.id, seen),
              StatusIs(absl::StatusCode::kInvalidArgument));
  Open();
  EXPECT_TRUE(graph_->Stores()[0].unreadable_scopes.empty());
}

}  // namespace
}  // namespace reclaim::index
