#include "oci/name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace reclaim::oci {
namespace {

constexpr size_t kRepositoryBytesMax = 255;

bool IsDigit(char c) { return absl::ascii_isdigit(c); }
bool IsLowerAlnum(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c);
}

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool IsPathComponent(absl::string_view text) {
  if (text.empty() || !IsLowerAlnum(text.front()) ||
      !IsLowerAlnum(text.back())) {
    return false;
  }
  size_t i = 0;
  while (i < text.size()) {
    if (IsLowerAlnum(text[i])) {
      ++i;
      continue;
    }
    const char separator = text[i];
    const size_t begin = i;
    while (i < text.size() && text[i] == separator) ++i;
    const size_t length = i - begin;
    const bool is_legal = (separator == '.' && length == 1) ||
                          (separator == '_' && length <= 2) || separator == '-';
    if (!is_legal || i == text.size() || !IsLowerAlnum(text[i])) return false;
  }
  return true;
}

// Path components alone.
bool IsPath(absl::string_view text) {
  if (text.size() > kRepositoryBytesMax) return false;
  for (const absl::string_view component : absl::StrSplit(text, '/')) {
    if (!IsPathComponent(component)) return false;
  }
  return true;
}

// [a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]
bool IsHostComponent(absl::string_view text) {
  if (text.empty() || text.front() == '-' || text.back() == '-') return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && c != '-') return false;
  }
  return true;
}

// "[…]" or "[…]:5000", with an address of IPv6.
bool IsAddress6(absl::string_view text) {
  const size_t end = text.find(']');
  if (!absl::StartsWith(text, "[") || end == absl::string_view::npos) {
    return false;
  }
  const absl::string_view address = text.substr(1, end - 1);
  const absl::string_view port = text.substr(end + 1);
  const auto is_of_address = [](char c) {
    return absl::ascii_isxdigit(c) || c == ':';
  };
  return !address.empty() &&
         std::all_of(address.begin(), address.end(), is_of_address) &&
         (port.empty() || (port.size() > 1 && port[0] == ':' &&
                           std::all_of(port.begin() + 1, port.end(), IsDigit)));
}

// A first component that names a registry: "localhost", or with '.' or ':'.
bool IsHost(absl::string_view text) {
  if (text == "localhost" || IsAddress6(text)) return true;
  return text.find_first_of(".:") != absl::string_view::npos &&
         IsRegistryHost(text);
}

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("not an image reference: \"",
                   absl::CHexEscape(text.substr(0, 300)), "\": ", why));
}

bool IsRepositoryWithHost(absl::string_view name) {
  const size_t slash = name.find('/');
  if (slash != absl::string_view::npos && IsHost(name.substr(0, slash))) {
    return IsPath(name.substr(slash + 1));
  }
  return IsPath(name);
}

}  // namespace

bool IsRegistryHost(absl::string_view text) {
  const size_t colon = text.find(':');
  if (colon != absl::string_view::npos) {
    const absl::string_view port = text.substr(colon + 1);
    if (port.empty() || !std::all_of(port.begin(), port.end(), IsDigit)) {
      return false;
    }
    text = text.substr(0, colon);
  }
  for (const absl::string_view component : absl::StrSplit(text, '.')) {
    if (!IsHostComponent(component)) return false;
  }
  return true;
}

bool IsRepositoryName(absl::string_view name) {
  if (name.size() > kRepositoryBytesMax) return false;
  const size_t slash = name.find('/');
  if (slash != absl::string_view::npos &&
      IsRegistryHost(name.substr(0, slash))) {
    return IsPath(name.substr(slash + 1));
  }
  return IsPath(name);
}

bool IsTagName(absl::string_view tag) {
  if (tag.empty() || tag.size() > 128) return false;
  if (!absl::ascii_isalnum(tag[0]) && tag[0] != '_') return false;
  for (const char c : tag) {
    if (!absl::ascii_isalnum(c) && c != '_' && c != '.' && c != '-') {
      return false;
    }
  }
  return true;
}

absl::StatusOr<Reference> ParseReference(absl::string_view text) {
  Reference reference;
  absl::string_view rest = text;
  if (const size_t at = rest.find('@'); at != absl::string_view::npos) {
    RECLAIM_ASSIGN_OR_RETURN(reference.digest,
                             Digest::Parse(rest.substr(at + 1)));
    rest = rest.substr(0, at);
  }
  const size_t colon = rest.rfind(':');
  const size_t slash = rest.rfind('/');
  if (colon != absl::string_view::npos &&
      (slash == absl::string_view::npos || colon > slash)) {
    reference.tag = std::string(rest.substr(colon + 1));
    if (!IsTagName(reference.tag)) return Bad(text, "the tag is malformed");
    rest = rest.substr(0, colon);
  }
  if (!IsRepositoryWithHost(rest)) {
    return Bad(text, "the repository name is malformed");
  }
  reference.repository = std::string(rest);
  return reference;
}

std::string FamiliarRepository(absl::string_view repository) {
  absl::string_view rest = repository;
  if (absl::ConsumePrefix(&rest, "docker.io/") ||
      absl::ConsumePrefix(&rest, "index.docker.io/")) {
    absl::ConsumePrefix(&rest, "library/");
  }
  return std::string(rest);
}

std::string JoinTag(absl::string_view repository, absl::string_view tag) {
  if (tag == "@") return std::string(repository);
  return absl::StrCat(repository, absl::StartsWith(tag, "@") ? "" : ":", tag);
}

}  // namespace reclaim::oci
