#include "tests/support/hostile_names.h"

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace reclaim::hostile {
namespace {

using std::string_literals::operator""s;
using std::string_view_literals::operator""sv;

const std::string kHex =
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

// Bad in a repository and in a tag alike.
constexpr std::string_view kBadNames[] = {
    // Nothing, and what a file system gives a meaning.
    "",
    ".",
    "..",
    "...",
    "/",
    "//",
    "/etc/passwd",
    "../x",
    "x/..",
    "x/../y",
    "../../../../etc/passwd",
    "./x",
    "x/.",
    "x/./y",
    "x//y",
    "/x",
    "x/",
    "..\\x",
    "x\\y",
    "\\\\server\\share",
    "C:\\x",
    "C:/x",
    "~/x",
    "~root",
    // For a URL and for a shell.
    "%2e%2e%2fx",
    "x%2fy",
    "%00",
    "x%00y",
    "..%2f",
    "%252e%252e",
    "x?y",
    "x#y",
    "file:///etc/passwd",
    "x=y",
    "x&y",
    "x;y",
    "x|y",
    "x`y`",
    "$(x)",
    "${x}",
    "x*",
    "x>y",
    "x<y",
    "\"x\"",
    "'x'",
    "x y",
    " x",
    "x ",
    "x,y",
    "(x)",
    "[x]",
    "{x}",
    "x!",
    "^x",
    "x+y",
    // Control characters.
    "\0"sv,
    "x\0y"sv,
    "\0x"sv,
    "x\0"sv,
    "x\0/../y"sv,
    "x\ny",
    "x\n",
    "\nx",
    "x\ry",
    "x\ty",
    "\x1b[31mx",
    "x\x7f",
    "x\x01",
    "x\by",
    // Letters that look like others, and marks that nobody sees.
    "\xd0\xb0pp",                  // Cyrillic a
    "x\xef\xbc\x8fy",              // full-width solidus
    "x\xe2\x88\x95y",              // division slash
    "x\xe2\x81\x84y",              // fraction slash
    "\xe2\x80\xa4\xe2\x80\xa4/x",  // two one-dot leaders
    "\xe2\x80\xa5/x",              // two-dot leader
    "\xef\xbc\x8e\xef\xbc\x8e/x",  // full-width full stops
    "x\xe2\x80\x8by",              // zero width space
    "\xef\xbb\xbfx",               // byte order mark
    "x\xe2\x80\xaey",              // right-to-left override
    "caf\xc3\xa9",
    "cafe\xcc\x81",
    "\xc4\xb1",
    "\xe2\x84\xaa",
    "\xf0\x9f\x93\xa6",
    // No UTF-8.
    "\xff",
    "x\xff",
    "\xc0\xaf",
    "x\xc0\xaey",
    "\xc0\x80",
    "\xe0\x80\xaf",
    "\xed\xa0\x80",
    "\xf4\x90\x80\x80",
    "x\xc3",
    "\x80",
    // Parts that are no letters.
    "-x",
    ".x",
};

// Where "{hex}" is a digest's, "{cut}" its first 63 digits, ...
constexpr std::string_view kBadDigests[] = {
    "sha256",
    "sha256:",
    ":{hex}",
    "sha256{hex}",
    ":",
    "::",
    "{hex}",
    "sha256:{cut}",
    "sha256:{hex}0",
    "sha256:0",
    "sha512:{hex}",
    "sha512:{hex}{cut}",
    "sha512:{hex}{hex}0",
    "sha256:{hex}{hex}",
    "sha256:{upper}",
    "SHA256:{hex}",
    "Sha256:{hex}",
    "sha256:{cut}A",
    "sha256:{cut}g",
    "sha256:0x{hex62}",
    "sha256:+{cut}",
    "sha256:-{cut}",
    "sha256:{hex62}\xd0\xb0",
    "sha256:{hex61}\xef\xbc\x90",
    "sha256:{hex61}\xe2\x80\x8b",
    "\xef\xbb\xbfsha256:{hex}",
    "sha256\xef\xbc\x9a{hex}",
    " sha256:{hex}",
    "sha256:{hex} ",
    "sha256:{hex}\n",
    "sha256: {hex}",
    "sha256 :{hex}",
    "\tsha256:{hex}",
    "sha256:{hex}\0"sv,
    "\0sha256:{hex}"sv,
    "sha256:\0{cut}"sv,
    "sha256:{cut}\0"sv,
    "sha256:{hex}\0/../x"sv,
    "sha256:{hex}/",
    "sha256:{hex}/..",
    "sha256:{hex}/../../x",
    "sha256:/{cut}",
    "sha256::{hex}",
    "sha256:sha256:{hex}",
    "sha256:{hex}:",
    "sha256:{hex}?x",
    "sha256:{hex}#x",
    "sha256:{hex},sha256:{hex}",
    "\"sha256:{hex}\"",
    "@sha256:{hex}",
    "x@sha256:{hex}",
    "sha256%3A{hex}",
    "sha256:%2e%2e%2f{hex55}",
    "sha256:../../../../etc/passwd",
    "../{hex}",
    "../sha256:{hex}",
    "sha256/../x:{hex}",
    "/:{hex}",
    "..:{hex}",
    ".:{hex}",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha384:{hex}{hex}",
    "blake3:{hex}",
    "sha256+b64:{hex}",
    "sha-256:{hex}",
    "sha2560:{hex}",
    "sha25:{hex}",
    "sha256.x:{hex}",
    "none:{hex}",
};

std::string Times(size_t count, const std::string& text) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

std::vector<std::string> BadNames() {
  std::vector<std::string> all(std::begin(kBadNames), std::end(kBadNames));
  for (const size_t length : {256, 300, 4096, 100000}) {
    all.push_back(std::string(length, 'a'));
  }
  all.push_back(Times(128, "a/") + "a");
  all.push_back(Times(2000, "../") + "x");
  return all;
}

void Append(const std::vector<std::string>& more,
            std::vector<std::string>* all) {
  all->insert(all->end(), more.begin(), more.end());
}

}  // namespace

std::vector<std::string> BadRepositories() {
  std::vector<std::string> all = BadNames();
  Append(
      {
          "A",
          "aB",
          "App",
          "team/Web",
          "_x",
          "x_",
          "x-",
          "x.",
          "x..y",
          "x___y",
          "x.-y",
          "x._y",
          "x-_y",
          "_layers",
          "_manifests",
          "_uploads",
          "x/_layers",
          "x/_manifests/tags",
          "x/.reclaim",
          ".reclaim",
          "x/_uploads/../y",
          "x@y",
          "x@sha256:" + kHex,
          "sha256:" + kHex,
          "x:",
          ":x",
          "x:y",
          "team//web",
          "team/-web",
          "team/web-",
          "team/ web",
      },
      &all);
  return all;
}

std::vector<std::string> GoodRepositories() {
  return {"a",     "0",
          "app",   "team/web",
          "a.b",   "a_b",
          "a-b",   "a__b",
          "a---b", "a/b/c/d",
          "9x",    std::string(255, 'a'),
          kHex,    Times(127, "a/") + "a"};
}

std::vector<std::string> BadTags() {
  std::vector<std::string> all = BadNames();
  Append({"x/y", "x:y", "x@y", "sha256:" + kHex, std::string(129, 'a'),
          std::string(255, 'a'), "v1/current/link", "v1/../v2"},
         &all);
  return all;
}

std::vector<std::string> GoodTags() {
  return {"v1",   "_x",     "A", "a.b", "a-b",
          "x..y", "latest", "1", kHex,  std::string(128, 'a')};
}

std::vector<std::string> BadDigests() {
  std::vector<std::string> all = {
      "sha256:" + std::string(4096, 'a'),  "sha256:" + Times(21, "../") + "a",
      "sha256:" + Times(32, ".."),         "sha256:" + std::string(64, '.'),
      "sha256:" + std::string(64, '/'),    "sha256:" + Times(32, "./"),
      "sha256:" + Times(21, "..\\") + "a", "sha256:" + std::string(64, ' '),
      "sha256:" + std::string(64, '\0'),   "sha256:" + std::string(64, '\xff'),
      "sha256:" + std::string(64, '\n')};
  for (const std::string_view text : kBadDigests) {
    all.push_back(
        absl::StrReplaceAll(absl::string_view(text.data(), text.size()),
                            {{"{hex}", kHex},
                             {"{cut}", kHex.substr(0, 63)},
                             {"{hex62}", kHex.substr(0, 62)},
                             {"{hex61}", kHex.substr(0, 61)},
                             {"{hex55}", kHex.substr(0, 55)},
                             {"{upper}", absl::AsciiStrToUpper(kHex)}}));
  }
  Append(BadNames(), &all);
  return all;
}

std::vector<std::string> GoodDigests() {
  return {"sha256:" + kHex, "sha256:" + std::string(64, '0'),
          "sha256:" + std::string(64, 'f'), "sha512:" + kHex + kHex};
}

std::vector<std::string> BadFileNames() {
  return {"",        ".",           "..",        "/",     "x/y", "../x", "x/..",
          "../../x", "/etc/passwd", "x/../../y", "x\0y"s, "\0"s, "..\0"s};
}

}  // namespace reclaim::hostile
