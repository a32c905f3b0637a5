#include "index/record_decoding.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "index/graph_records.h"
#include "index/node.h"
#include "oci/digest.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using Content = storage::v1::ContentRecord;
using Membership = storage::v1::MembershipRecord;

// The wire types of protobuf that our records have.
constexpr uint32_t kVarint = 0;
constexpr uint32_t kLengthDelimited = 2;
constexpr size_t kFieldEnd = 22;

constexpr uint32_t Bit(int field) { return uint32_t{1} << field; }

// A bit for each field.
struct Fields {
  uint32_t words = 0;  // numbers of 32 bits
  uint32_t longs = 0;  // of 64
  uint32_t texts = 0;  // bytes, a text, or a list of numbers
};

constexpr Fields kContentFields = {
    Bit(Content::kIdFieldNumber) | Bit(Content::kStoreFieldNumber) |
        Bit(Content::kPlaceFieldNumber) |
        Bit(Content::kDigestAlgorithmFieldNumber) |
        Bit(Content::kKindFieldNumber) | Bit(Content::kStateFieldNumber) |
        Bit(Content::kFlagsFieldNumber) | Bit(Content::kExtentFieldNumber) |
        Bit(Content::kStampFieldNumber) | Bit(Content::kSubjectFieldNumber),
    Bit(Content::kLogicalBytesFieldNumber) |
        Bit(Content::kAllocatedBytesFieldNumber) |
        Bit(Content::kDeviceFieldNumber) | Bit(Content::kInodeFieldNumber) |
        Bit(Content::kRecordedFieldNumber) | Bit(Content::kUsedFieldNumber) |
        Bit(Content::kLinkCountFieldNumber),
    Bit(Content::kDigestFieldNumber) | Bit(Content::kMediaTypeFieldNumber) |
        Bit(Content::kChildrenFieldNumber)};
constexpr Fields kMembershipFields = {
    Bit(Membership::kRepositoryFieldNumber) |
        Bit(Membership::kContentFieldNumber) |
        Bit(Membership::kKindFieldNumber) |
        Bit(Membership::kIsOnlyNameFieldNumber),
    Bit(Membership::kLinkedFieldNumber), 0};

// Reads what it is asked for, or says that it is not there in the shortest form
// (which we write, and protobuf need not).
class Cursor {
 public:
  explicit Cursor(absl::string_view bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool is_at_end() const { return at_ == end_; }
  bool ReadNumber(uint64_t* number) {
    uint64_t value = 0;
    for (int shift = 0; at_ != end_ && shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at_++);
      // Of the last of ten bytes there is room for one bit.
      if (shift == 63 && byte > 1) return false;
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte >= 0x80) continue;
      *number = value;
      return byte != 0 || shift == 0;
    }
    return false;
  }
  bool ReadWord(uint32_t* word) {
    uint64_t number = 0;
    if (!ReadNumber(&number)) return false;
    *word = static_cast<uint32_t>(number);
    return number <= std::numeric_limits<uint32_t>::max();
  }
  bool ReadText(absl::string_view* text) {
    uint64_t size = 0;
    if (!ReadNumber(&size) || size > static_cast<uint64_t>(end_ - at_)) {
      return false;
    }
    *text = absl::string_view(at_, static_cast<size_t>(size));
    at_ += size;
    return true;
  }

 private:
  const char* at_;
  const char* end_;
};

// By field; 0 where there is none.
struct Numbers {
  std::array<uint64_t, kFieldEnd> of = {};
  uint32_t present = 0;

  bool Has(int field) const { return (present & Bit(field)) != 0; }
  uint64_t Long(int field) const { return of[static_cast<size_t>(field)]; }
  uint32_t Word(int field) const { return static_cast<uint32_t>(Long(field)); }
  int64_t Signed(int field) const { return static_cast<int64_t>(Long(field)); }
};

// Fields that come in their order.  `on_text` is told of the field and its
// bytes; false ends it.
template <typename OnText>
bool ReadFields(absl::string_view value, const Fields& fields, Numbers* numbers,
                OnText on_text) {
  Cursor cursor(value);
  uint32_t last = 0;
  while (!cursor.is_at_end()) {
    uint32_t tag = 0;
    if (!cursor.ReadWord(&tag)) return false;
    const uint32_t field = tag >> 3;
    if (field <= last || field >= kFieldEnd) return false;
    last = field;
    const uint32_t bit = uint32_t{1} << field;
    const uint32_t type = tag & 7;
    if (type == kVarint && ((fields.words | fields.longs) & bit) != 0) {
      uint64_t& number = numbers->of[field];
      if (!cursor.ReadNumber(&number)) return false;
      const bool is_word = (fields.words & bit) != 0;
      if (is_word && number > std::numeric_limits<uint32_t>::max()) {
        return false;
      }
    } else if (type == kLengthDelimited && (fields.texts & bit) != 0) {
      absl::string_view text;
      if (!cursor.ReadText(&text) || !on_text(field, text)) return false;
    } else {
      return false;
    }
    numbers->present |= bit;
  }
  return true;
}

bool ReadList(absl::string_view bytes, std::vector<NodeId>* list) {
  Cursor cursor(bytes);
  while (!cursor.is_at_end()) {
    NodeId id = 0;
    if (!cursor.ReadWord(&id)) return false;
    list->push_back(id);
  }
  return true;
}

bool IsAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
}

}  // namespace

bool DecodeRow(absl::string_view value, ContentRow* row) {
  Numbers numbers;
  absl::string_view digest;
  row->children.clear();
  const auto on_text = [&](uint32_t field, absl::string_view text) {
    switch (field) {
      case Content::kDigestFieldNumber:
        digest = text;
        return true;
      case Content::kChildrenFieldNumber:
        return ReadList(text, &row->children);
      default:
        // The media type: of no use here, but it is a text or the record is
        // damaged.
        return IsAscii(text);
    }
  };
  if (!ReadFields(value, kContentFields, &numbers, on_text)) return false;
  row->id = numbers.Word(Content::kIdFieldNumber);
  row->kind = static_cast<NodeKind>(numbers.Word(Content::kKindFieldNumber));
  row->state = static_cast<NodeState>(numbers.Word(Content::kStateFieldNumber));
  row->flags = static_cast<uint16_t>(numbers.Word(Content::kFlagsFieldNumber));
  row->store = static_cast<StoreId>(numbers.Word(Content::kStoreFieldNumber));
  row->bytes = {numbers.Long(Content::kLogicalBytesFieldNumber),
                numbers.Long(Content::kAllocatedBytesFieldNumber)};
  row->extent = kNoNode;
  if (numbers.Has(Content::kExtentFieldNumber)) {
    row->extent = numbers.Word(Content::kExtentFieldNumber);
    row->bytes = {};
  }
  row->link_count = numbers.Long(Content::kLinkCountFieldNumber);
  row->stamp = numbers.Word(Content::kStampFieldNumber);
  row->recorded = FromMicros(numbers.Signed(Content::kRecordedFieldNumber));
  row->used = numbers.Has(Content::kUsedFieldNumber)
                  ? FromMicros(numbers.Signed(Content::kUsedFieldNumber))
                  : absl::InfinitePast();
  row->subject = numbers.Has(Content::kSubjectFieldNumber)
                     ? numbers.Word(Content::kSubjectFieldNumber)
                     : kNoNode;
  row->key = {numbers.Word(Content::kPlaceFieldNumber), oci::Digest()};
  if (row->kind == NodeKind::kExtent) return true;
  const absl::StatusOr<oci::Digest> parsed = oci::Digest::FromBytes(
      static_cast<oci::DigestAlgorithm>(
          numbers.Word(Content::kDigestAlgorithmFieldNumber)),
      digest);
  if (!parsed.ok()) return false;
  row->key.digest = *parsed;
  return true;
}

bool DecodeRow(absl::string_view value, MembershipRow* row) {
  Numbers numbers;
  const auto on_text = [](uint32_t, absl::string_view) { return false; };
  if (!ReadFields(value, kMembershipFields, &numbers, on_text)) return false;
  row->repository = numbers.Word(Membership::kRepositoryFieldNumber);
  row->content = numbers.Word(Membership::kContentFieldNumber);
  row->kind = static_cast<store::MembershipKind>(
      numbers.Word(Membership::kKindFieldNumber));
  row->linked = FromMicros(numbers.Signed(Membership::kLinkedFieldNumber));
  row->is_only_name = numbers.Word(Membership::kIsOnlyNameFieldNumber) != 0;
  return numbers.Word(Membership::kIsOnlyNameFieldNumber) <= 1;
}

}  // namespace reclaim::index
