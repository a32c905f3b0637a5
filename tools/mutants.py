"""Small changes of C++ source files, and all of those of a file in one program.

A mutant is one operator turned, one condition fixed or one statement left out.
`schema` puts every mutant of a file into one text: a function with mutants gets a
body for each, and RECLAIM_MUTANT in the environment says which is taken (none:
the function as it is).  So the tests are compiled once and not once a mutant.

Understands what clang-format leaves of our own style, and no more C++ than that.
"""
import bisect
import collections
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EQUIVALENT = os.path.join(ROOT, "tests", "seeded", "equivalent.txt")

# (what, replacement): each match of the first is one mutant.
OPERATORS = tuple((re.compile(what), replacement) for what, replacement in (
    (r"(?<=\s)==(?=\s)", "!="), (r"(?<=\s)!=(?=\s)", "=="),
    (r"(?<= )>=(?=\s)", ">"), (r"(?<= )<=(?=\s)", "<"),
    (r"(?<= )<(?=\s)", "<="), (r"(?<= )>(?=\s)", ">="),
    (r"(?<= )&&(?=\s)", "||"), (r"(?<= )\|\|(?=\s)", "&&"),
    (r"(?<= )\+(?=\s)", "-"), (r"(?<=[( ])!(?=[a-z_(*])", ""),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"),
    (r"(?<= )\|(?=\s)", "&"), (r"(?<= )\|=(?=\s)", "="),
))
CONDITION = re.compile(r"\bif \(")
# A call, an assignment or a loop in one line; not what the tests alone see.
STATEMENT = re.compile(
    r"(?:(?:\+\+|--|\*)?[a-z_]\w*(?:\.|->|\(|\[| [|+]?= )|"
    r"RECLAIM_RETURN_IF_ERROR\((?!base::FaultPoint))[^;]*;?|(?:\+\+|--)\w+;|"
    r"for \([^;{]*\) [^;{]*;")
NO_STATEMENT = re.compile(r"view(_\.|\(\)\.|->)Yield|\w+\.reserve|"
                          r"(if|while|switch) ?\(|for \(.*{")
LEFT_ALONE = re.compile(r"^\s*(#|using |template|class |static_assert|"
                        r"RECLAIM_CHECK)|\boperator")
SCOPE = re.compile(r"\b(namespace|class|struct|enum|union|extern)\b[^()]*$")

Function = collections.namedtuple("Function", "name begin end returns_nothing")
# `key` names it wherever its line has moved; `edit` is (begin, end, replacement).
Mutant = collections.namedtuple("Mutant", "key file line function edit")


def masked(text):
    """The same text with blanks for comments and for what literals say."""
    pattern = re.compile(r'//[^\n]*|"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])'")
    return pattern.sub(lambda m: m.group()[0] + " " * (len(m.group()) - 2) +
                       m.group()[-1] if m.group()[0] != "/"
                       else " " * len(m.group()), text)


def functions_of(code):
    """The functions of masked `code`, with the span between their braces."""
    found, scopes, head_begin, depth, opened = [], 0, 0, 0, None
    code = re.sub(r"^#.*$", lambda m: " " * len(m.group()), code, flags=re.M)
    for match in re.finditer(r"[{};]", code):
        word, at = match.group(), match.start()
        if word == "{":
            head = code[head_begin:at]
            if opened is None and not SCOPE.search(head) and ")" in head:
                opened, depth = (head, at + 1), 0
            elif opened is None:
                scopes += 1
            depth += 1
        elif word == "}":
            depth -= 1
            if opened is not None and depth == 0:
                head, begin = opened
                names = re.findall(r"([\w:~]+)\s*\(", head)
                found.append(Function(
                    names[0] if names else "?", begin, at,
                    bool(re.search(r"\bvoid\s+[\w:]+\s*\(", head) or
                         re.match(r"\s*(explicit )?(\w+::)?(\w+)\(", head))))
                opened = None
        head_begin = at + 1
    return found


def closing(code, at):
    """Where the parenthesis that opens before `at` closes."""
    depth = 1
    while depth > 0:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at - 1


def edits_of(code):
    """[(begin, end, replacement, words)] in masked `code`, in its order."""
    edits = []
    for pattern, replacement in OPERATORS:
        for match in pattern.finditer(code):
            edits.append((match.start(), match.end(), replacement, "%s -> %s" % (
                match.group(), replacement or "none")))
    for match in CONDITION.finditer(code):
        begin, end = match.end(), closing(code, match.end())
        declares = re.match(r"(const )?[\w:<>]+[&*]* \w+ = ", code[begin:end])
        at = code.rfind(";", begin, end)
        for word in ("true", "false"):
            edits.append((at + 1, end, " " + word, "if -> " + word) if at >= 0
                         else (end, end, "; " + word, "if -> " + word)
                         if declares else (begin, end, word, "if -> " + word))
    for match in re.finditer(r"^ +(?=[^ ])", code, re.M):
        at = match.end()
        if code[:match.start()].rstrip()[-1:] not in tuple("{};:)"):
            continue
        words = STATEMENT.match(code, at)
        if words and not NO_STATEMENT.match(code, at) and all(
                words.group().count(a) == words.group().count(b)
                for a, b in ("()", "{}")):
            edits.append(words.span() + (";", "left out"))
    return sorted(edits, key=lambda edit: edit[:2])


def mutants_of(file, text):
    """Every mutant of a file, in the order of its lines."""
    code = masked(text)
    functions = functions_of(code)
    starts = [0] + [m.end() for m in re.finditer("\n", text)]
    lines = text.split("\n")
    seen, mutants = collections.Counter(), []
    for begin, end, replacement, words in edits_of(code):
        number = bisect.bisect_right(starts, begin) - 1
        inside = [f for f in functions if f.begin <= begin and end <= f.end]
        if not inside or LEFT_ALONE.search(lines[number]):
            continue
        key = "%s: %s: %s: %s" % (file, inside[0].name, words,
                                  lines[number].strip())
        seen[key] += 1
        if seen[key] > 1:
            key += " #%d" % seen[key]
        mutants.append(Mutant(key, file, number + 1, inside[0],
                              (begin, end, replacement)))
    return mutants


def explained():
    """{key: reason} of the mutants that change nothing.

    Each is a line of EQUIVALENT, behind the reason in comment lines; a reason
    holds for all lines up to the next comment.
    """
    if not os.path.exists(EQUIVALENT):
        return {}
    out, reason, was_comment = {}, "", False
    with open(EQUIVALENT, encoding="utf-8") as file:
        for line in map(str.strip, file):
            if line.startswith("#"):
                word = line.lstrip("# ")
                reason = reason + " " + word if was_comment else word
            elif line:
                out[line] = reason
            was_comment = line.startswith("#")
    return out


PROLOGUE = """#include <cstdlib>
static const int reclaim_mutant = [] {
  const char* number = std::getenv("RECLAIM_MUTANT");
  return number == nullptr ? 0 : std::atoi(number);
}();
"""


def schema(text, mutants):
    """`text` with all of its `mutants`, and where they stand.

    `mutants` is {number: Mutant}.  Returns (text, [(first line, last line,
    number)]).  A mutant that leaves a function without a return dies there.
    """
    of_function = collections.defaultdict(list)
    for number, mutant in mutants.items():
        of_function[mutant.function].append((number, mutant))
    namespace = text.index("\nnamespace ") + 1
    out, places = [text[:namespace], PROLOGUE], []
    at, line = namespace, (text[:namespace] + PROLOGUE).count("\n") + 1

    def add(piece):
        nonlocal line
        out.append(piece)
        line += piece.count("\n")

    for function, group in sorted(of_function.items(),
                                  key=lambda item: item[0].begin):
        add(text[at:function.begin] + "\nswitch (reclaim_mutant) {\n")
        for number, mutant in group:
            begin, end, replacement = mutant.edit
            first = line
            add("case %d: {" % number + text[function.begin:begin] +
                replacement + text[end:function.end] +
                ("return;" if function.returns_nothing else
                 "__builtin_trap();") + "\n}\n")
            places.append((first, line - 1, number))
        add("}\n")
        at = function.begin
    add(text[at:])
    return "".join(out), places
