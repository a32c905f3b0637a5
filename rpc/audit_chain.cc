#include "rpc/audit_chain.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "oci/digest.h"

namespace reclaim::rpc {
namespace {

constexpr size_t kHexSize = 64;
constexpr size_t kFaultsMax = 100;
constexpr char kPrevious[] = ",\"prev\":\"";
constexpr char kHash[] = "\",\"hash\":\"";
constexpr char kEnd[] = "\"}";

std::string NoHash() { return std::string(kHexSize, '0'); }

// What may follow the first segment's first "prev": it is the anchor.
std::string HashOf(absl::string_view text) {
  return oci::Digest::Sha256Of(text).hex();
}

void AppendQuoted(absl::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

bool IsHash(absl::string_view text) {
  return text.size() == kHexSize &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

// Follows lines from segment to segment.
class Follower {
 public:
  explicit Follower(AuditReport* report) : report_(*report) {}

  void Begin(std::string segment) {
    segment_ = std::move(segment);
    line_ = 0;
  }
  void Accept(const std::string& text) {
    ++line_;
    const std::optional<AuditLine> line = ReadAuditLine(text);
    if (!line) {
      Fault("the line was changed or torn: its hash is not that of its text");
      return;
    }
    if (report_.record_count == 0) {
      report_.first_sequence = line->head.sequence;
      if (line->head.sequence == 1 && line->before != NoHash()) {
        Fault("the first record names a record before it");
      }
    } else if (line->head.sequence != report_.head.sequence + 1) {
      Fault(absl::StrCat("record ", line->head.sequence, " follows record ",
                         report_.head.sequence));
    } else if (line->before != report_.head.hash) {
      Fault(absl::StrCat("record ", line->head.sequence,
                         " does not name the hash of the record before it"));
    }
    ++report_.record_count;
    report_.head = line->head;
  }
  void Fault(std::string what) {
    ++report_.fault_count;
    if (report_.faults.size() >= kFaultsMax) return;
    report_.faults.push_back({segment_, line_, std::move(what)});
  }

 private:
  AuditReport& report_;
  std::string segment_;
  uint64_t line_ = 0;
};

}  // namespace

std::string MakeAuditLine(const AuditFields& fields, AuditHead* head) {
  if (head->hash.empty()) head->hash = NoHash();
  ++head->sequence;
  std::string line = absl::StrCat("{\"seq\":", head->sequence);
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    absl::StrAppend(&line, ",\"", name, "\":");
    AppendQuoted(base::EscapeUnlessUtf8(value), &line);
  }
  absl::StrAppend(&line, kPrevious, head->hash, "\"");
  head->hash = HashOf(line);
  // kHash begins with the quote that ends "prev".
  absl::StrAppend(&line, kHash + 1, head->hash, kEnd, "\n");
  return line;
}

std::optional<AuditLine> ReadAuditLine(absl::string_view line) {
  absl::string_view rest = line;
  if (!absl::ConsumeSuffix(&rest, kEnd) || rest.size() < kHexSize) {
    return std::nullopt;
  }
  AuditLine out;
  out.head.hash = std::string(rest.substr(rest.size() - kHexSize));
  rest.remove_suffix(kHexSize);
  if (!absl::ConsumeSuffix(&rest, kHash) || rest.size() < kHexSize) {
    return std::nullopt;
  }
  out.before = std::string(rest.substr(rest.size() - kHexSize));
  const absl::string_view text = line.substr(0, rest.size() + 1);
  rest.remove_suffix(kHexSize);
  if (!absl::ConsumeSuffix(&rest, kPrevious) ||
      !absl::ConsumePrefix(&rest, "{\"seq\":")) {
    return std::nullopt;
  }
  if (!absl::SimpleAtoi(rest.substr(0, rest.find(',')), &out.head.sequence) ||
      !IsHash(out.head.hash) || !IsHash(out.before) ||
      HashOf(text) != out.head.hash) {
    return std::nullopt;
  }
  return out;
}

absl::StatusOr<std::vector<std::string>> ListAuditSegments(
    const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end;
       !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::StartsWith(name, "audit-") && absl::EndsWith(name, ".log")) {
      names.push_back(name);
    }
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot list ", folder));
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<AuditReport> VerifyChain(const std::string& folder) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> segments,
                           ListAuditSegments(folder));
  AuditReport report;
  Follower follower(&report);
  for (const std::string& segment : segments) {
    follower.Begin(segment);
    std::ifstream file(folder + "/" + segment, std::ios::binary);
    if (!file) {
      return absl::UnavailableError(
          absl::StrCat("cannot read ", folder, "/", segment));
    }
    std::string line;
    while (std::getline(file, line)) {
      follower.Accept(line);
      if (file.eof()) follower.Fault("the last line has no end");
    }
    if (file.bad()) {
      return absl::UnavailableError(
          absl::StrCat("cannot read ", folder, "/", segment));
    }
  }
  return report;
}

}  // namespace reclaim::rpc
