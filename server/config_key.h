// server/config_key.h — private: one key of the configuration, and readers of
// its value.
//
// Adding a key is one row in config_keys.cc (and its field in Config): parsing,
// bounds, errors and the reference page follow from it.

#ifndef RECLAIM_SERVER_CONFIG_KEY_H_
#define RECLAIM_SERVER_CONFIG_KEY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/toml.h"
#include "server/config.h"

namespace reclaim::server {

// Puts a value where it belongs.  INVALID_ARGUMENT with what is allowed.
using KeyReader = std::function<absl::Status(const toml::node&, Config*)>;

// One key: how it is written, what it means, and where it goes.
struct Key {
  const char* name;  // "gc.grace_period"; "store.uri" for each [[store]]
  // "text", "texts", "number", "yes or no", "duration", "size"
  const char* type;
  const char* bounds;
  const char* help;
  std::string fallback;  // the default, as the reference page shows it
  KeyReader read;
};

// A table that may come many times: [[store]].  Its keys are named "store.…"
// and fill the element that `begin` has added last.
struct RepeatedTable {
  const char* name;
  const char* required_key;  // "store.uri"; every such table has it
  void (*begin)(Config*);
};

// All of them, in the order of the reference page.
const std::vector<Key>& Keys();
const std::vector<RepeatedTable>& RepeatedTables();

// The table of `key`'s name among RepeatedTables(); nullptr if it has none.
const RepeatedTable* RepeatedTableOf(const Key& key);

// The field of a Config, for the readers: RECLAIM_FIELD(policy.grace_period).
// In a repeated table: RECLAIM_FIELD(stores.back().uri).
#define RECLAIM_FIELD(path) \
  [](::reclaim::server::Config & config) -> auto& { return config.path; }

inline absl::Status MustBe(absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("must be ", allowed));
}

template <typename Field>
KeyReader Text(Field field) {
  return [field](const toml::node& node, Config* config) {
    if (!node.is_string()) return MustBe("text in quotes");
    field(*config) = *node.value<std::string>();
    return absl::OkStatus();
  };
}

// A list of texts replaces what was there.
template <typename Field>
KeyReader Texts(Field field) {
  return [field](const toml::node& node, Config* config) {
    const toml::array* list = node.as_array();
    if (list == nullptr) return MustBe("a list such as [\"a\", \"b\"]");
    std::vector<std::string> texts;
    for (const toml::node& item : *list) {
      if (!item.is_string()) return MustBe("a list of texts in quotes");
      texts.push_back(*item.value<std::string>());
    }
    field(*config) = std::move(texts);
    return absl::OkStatus();
  };
}

template <typename Field>
KeyReader Flag(Field field) {
  return [field](const toml::node& node, Config* config) {
    if (!node.is_boolean()) return MustBe("true or false");
    field(*config) = *node.value<bool>();
    return absl::OkStatus();
  };
}

// A whole number within both bounds, each included.
template <typename Field>
KeyReader Number(Field field, int64_t least, int64_t most) {
  return [=](const toml::node& node, Config* config) {
    const auto value = node.value<int64_t>();
    if (!node.is_integer() || *value < least || *value > most) {
      return MustBe(absl::StrCat("a number from ", least, " to ", most));
    }
    using Target = std::decay_t<decltype(field(*config))>;
    field(*config) = static_cast<Target>(*value);
    return absl::OkStatus();
  };
}

// A duration within both bounds, each included.
template <typename Field>
KeyReader Span(Field field, absl::Duration least, absl::Duration most) {
  return [=](const toml::node& node, Config* config) {
    absl::Duration value;
    if (!node.is_string() ||
        !absl::ParseDuration(*node.value<std::string>(), &value) ||
        value < least || value > most) {
      return MustBe(absl::StrCat(
          "a duration such as \"24h\", \"90m\" or \"30s\", from ",
          absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
    }
    field(*config) = value;
    return absl::OkStatus();
  };
}

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_CONFIG_KEY_H_
