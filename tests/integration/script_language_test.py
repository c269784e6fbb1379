"""The language of scripts against the pgbench that is installed: the same scripts with the same seed must be taken or
refused alike, draw the same numbers, and send the same statements."""
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import unittest

from case import Case, lab

PGBENCH = shutil.which("pgbench")

INTEGERS = ["0", "1", "-1", "2", "7", "-3", "64", "9223372036854775807", "-9223372036854775808"]
DOUBLES = ["0.0", "-2.5", "1e3", ".5", "1e300"]
OTHERS = ["null", "true", "false"]
BINARY = ["+", "-", "*", "/", "%", "<", "<=", "=", ">", ">=", "<>", "!=", "&", "|", "#", "<<", ">>", "and", "or"]


def sets(*expressions):
    """A script that shows an expression's value in both ways that pgbench has."""
    return "".join(f"\\set x debug({e})\nSELECT :x;\n" for e in expressions)


def operator_expressions():
    """Lists of expressions that nobody refuses, though many fail."""
    some = ["7", "-3", "0", "2.5", "true", "null", "9223372036854775807"]
    for operator in BINARY:
        yield [f"{left} {operator} {right}" for left, right in itertools.product(some, some)]
    for operator in ["+", "-", "*", "/", "%"]:
        yield [f"{left} {operator} {right}" for left, right in itertools.product(INTEGERS, INTEGERS)]
    for prefix in ["-", "+", "~", "not ", "- -", "not not ", "-~", "~-"]:
        yield [prefix + value for value in ["5", "-9223372036854775808", "1.5", "true", "null"]]
    for test in ["is null", "is not null", "is true", "is not true", "is false", "is not false", "isnull", "notnull",
                 "is null is null", "isnull isnull", "is null is not true notnull"]:
        yield [f"{value} {test}" for value in ["1", "0.0", "true", "false", "null", "1 = 1"]]


def precedence_scripts():
    values = iter(itertools.cycle(["1", "2", "3", "5", "true", "7"]))
    # Each kind, and kinds that bind alike.
    some = ["or", "and", "=", "<", ">", "|", "&", "<<", "+", "-", "*", "%"]
    for first, second in itertools.product([*some, "is not null and", "isnull ="], some):
        yield sets(f"{next(values)} {first} {next(values)} {second} {next(values)}")
    for prefix, operator in itertools.product(["not", "-", "~"], some):
        yield sets(f"{prefix} 1 {operator} 2", f"{prefix} true {operator} false")
        yield sets(f"6 {operator} {prefix} 1 {operator} 2")
    yield sets("debug(1) + debug(2) * debug(3)")
    yield sets("debug(1) > debug(2)", "debug(1) >= debug(2)", "debug(1) < debug(2)")
    yield sets("greatest(debug(1), debug(2) > debug(3) and debug(4) = 4, 5)")


def function_scripts():
    for name in ["abs", "double", "exp", "int", "ln", "sqrt", "debug"]:
        for value in INTEGERS + DOUBLES + OTHERS:
            # pgbench 15 takes abs of a boolean for that of whatever double lies there.
            if name != "abs" or value not in ("true", "false"):
                yield sets(f"{name}({value})")
    for name in ["greatest", "least"]:
        for arguments in ["1", "1, 2", "2, 1.5", "1, null", "true, 1", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16",
                          "-1e300, 1, 9223372036854775807", ""]:
            yield sets(f"{name}({arguments})")
    for name in ["mod", "pow", "power", "hash", "hash_fnv1a", "hash_murmur2"]:
        for arguments in ["7, 2", "-7, 2", "7.5, 2", "0, 0", "-8, 0.5", "1, null", "true, 2", "9223372036854775807, -1",
                          "42", "7, 2, 3", ""]:
            yield sets(f"{name}({arguments})")
    for arguments in ["3, 10, 7", "0, 1", "5, 1000003, -9", "-5, 17, 3", "3, 0", "3, -1", "12345678901, 9223372036854775807",
                      "7, 100", "1.5, 10", "null, 3, 4"]:
        yield sets(f"permute({arguments})")
    for call in ["pi()", "PI()", "pi(1)", "Abs(-1)", "nothing(1)", "abs", "abs 1", "abs(1", "abs(,1)", "least(,2)",
                 "least(1,,2)", "least(1,)"]:
        yield sets(call)


class Grower:
    """Expressions grown at random, of which some are then damaged."""

    LEAVES = ["0", "1", "-3", "7", "2.5", "1e3", "true", "null", ":client_id", ":scale", ":v", "9223372036854775807",
              "random(1, 9)", "pi()"]
    FUNCTIONS = {"abs": 1, "int": 1, "double": 1, "greatest": 3, "least": 2, "hash": 1, "hash_fnv1a": 2, "permute": 2, "mod": 2,
                 "pow": 2, "sqrt": 1, "debug": 1, "random": 2, "random_zipfian": 3}

    def __init__(self, seed):
        self.random = random.Random(seed)

    def grow(self, depth):
        pick = self.random.choice
        if depth == 0:
            return pick(self.LEAVES)
        kind = self.random.randrange(10)
        if kind < 5:
            return f"{self.grow(depth - 1)} {pick(BINARY)} {self.grow(depth - 1)}"
        if kind == 5:
            return f"({self.grow(depth - 1)})"
        if kind == 6:
            return pick(["-", "~", "not ", "+"]) + self.grow(depth - 1)
        if kind == 7:
            return f"{self.grow(depth - 1)} {pick(['is null', 'is not true', 'isnull', 'notnull'])}"
        if kind == 8:
            name = pick(list(self.FUNCTIONS))
            # abs of a boolean: see function_scripts.
            inner = [self.grow(depth - 1) for _ in range(self.FUNCTIONS[name])]
            return f"{name}({', '.join(inner)})" if name != "abs" else f"abs(double({inner[0]}))"
        return f"case when {self.grow(depth - 1)} then {self.grow(depth - 1)} else {self.grow(depth - 1)} end"

    def script(self):
        text = self.grow(self.random.randrange(1, 5))
        if self.random.random() < 0.3:
            words = text.split(" ")
            at = self.random.randrange(len(words))
            words[at:at + 1] = self.random.choice([[], [words[at]] * 2, [")"], ["then"], [","], ["$"]])
            text = " ".join(words)
        return sets(text)


def random_scripts():
    for call in ["random(1, 10)", "random(-5, 5)", "random(1, 1)", "random(5, 1)", "random(0, 9223372036854775806)",
                 "random(-9223372036854775808, 9223372036854775807)", "random(1.4, 9.6)", "random(null, 2)",
                 "random_exponential(1, 1000, 2.5)", "random_exponential(1, 1000, 0)", "random_exponential(1, 9, 100)",
                 "random_gaussian(1, 1000, 2.5)", "random_gaussian(1, 1000, 1.9)", "random_gaussian(5, 5, 3)",
                 "random_zipfian(1, 1000, 1.001)", "random_zipfian(1, 1000, 1.5)", "random_zipfian(1, 1000, 1000)",
                 "random_zipfian(1, 1000, 1)", "random_zipfian(3, 3, 2)", "random_zipfian(1, 9223372036854775807, 1.1)",
                 "random_gaussian(-100, 100, 10)", "hash(random(1, 100))", "permute(random(0, 99), 100)"]:
        yield sets(*[call] * 5)


def literal_scripts():
    for literal in ["9223372036854775808", "-9223372036854775808", "- 9223372036854775808", "-(9223372036854775808)",
                    "99999999999999999999", "1.", ".1", ".", "1e", "1e5", "1E-5", "1e+5", "1e400", "1e-400", "1.5e3x",
                    "0x10", "007", "1_000", "1 000", "TRUE", "fAlse", "tru", "NULL", "'a'", "\"a\"", "1;2", "a", "$1", "::x",
                    ":", ": x", ":1", ":client_id", ":scale", ":default_seed", ":random_seed", ":nobody", ":x", "()", "",
                    "((1))", "(1", "1)", "1 +", "+", "* 1", "1 , 2", "1 is", "1 is 2", "1 is not", "not", "1 = 2 = 3",
                    "1 < 2 = true", "1 ! 2", "1 !< 2", "1 ^ 2", "1\\\n + 2", "1 + \\\n", "\u00e4", "1 /* c */ + 2", "1 -- 2"]:
        yield sets(literal)
    for case in ["case when true then 1 end", "case when false then 1 end", "case when null then 1 else 2 end",
                 "case when 0 then 1 when 0.5 then 2 else 3 end", "CASE WHEN 1=1 THEN 2 ELSE 1/0 END", "case end",
                 "case else 1 end", "case when 1 then 2", "case 1 when 1 then 2 end", "case when 1 else 2 end",
                 "1 + case when true then 2 end * 3", "case when case when false then true end is null then 4 end",
                 "case when true then case when false then 1 else 2 end else 3 end + 1"]:
        yield sets(case)


def text_variable_scripts():
    """Scripts with what -D says."""
    for text in ["1", "-1", " 7", "+7", "7 ", "1.5", "1e3", ".5", "inf", "nan", "0x1A", "null", "NULL", "true", "t", "T", "tr",
                 "trueish", "y", "ye", "yes", "no", "n", "f", "fals", "on", "o", "of", "off", "abc", "9223372036854775807",
                 "9223372036854775808", "1e400", "00012", "1,5"]:
        yield "\\set x debug(:v)\nSELECT :v, :x;\n", text
    yield "SELECT ':v', :v::int, v:v;\n", "a b"


def statement_scripts():
    yield from ["SELECT 1;", "SELECT 1", "SELECT 1; SELECT 2;", "SELECT 1;;SELECT 2", " \n\n SELECT 1 ;  \n", "", "  ", ";", "\n;\n;",
                "-- nothing", "-- a\nSELECT 1; -- b\nSELECT 2 -- c\n;", "/* a; */ SELECT /* /* ; */ ; */ 1;", "/* open ; ",
                "SELECT 'a;b', 'it''s;';", "SELECT 'open ;", "SELECT E'\\';', 'b\\'; SELECT ';';", "SELECT e'a'\n'\\';' ;",
                "SELECT U&'\\0061;', B'1', X'1F';", 'SELECT ";", "a"";b";', "SELECT $$;$$, $a$ $$;$b$ $a$, $1;", "SELECT a$b$;$b$;",
                "SELECT (1; 2); SELECT 3;", "SELECT (1;\n\\set x 1\nSELECT 2); SELECT 3;", "SELECT ); SELECT 2;",
                "SELECT 1 \\; SELECT 2;", "SELECT 1\\;\\;SELECT \\:x;", "SELECT a::int, :x, ::x, :::x, :x:x, : x;",
                "SELECT :client_id, ':client_id', \"c:client_id\", $$:client_id$$ -- :client_id\n;",
                "SELECT :'client_id', :\"client_id\", :{?client_id};", "SELECT ':client_id /* :scale */", "SELECT arr[1:client_id];",
                "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3;",
                "CREATE OR REPLACE PROCEDURE f() BEGIN SELECT CASE WHEN 1 THEN 2 END; END; SELECT 3;",
                "BEGIN; SELECT 1; END;", "CREATE TABLE t (begin int); SELECT 1;", "SELECT 1 +-- x\n 2;", "SELECT 1 */* x */ 2;",
                "SELECT 1\r\n;\r\nSELECT 2;\r\n", "\\set x 1\r\nSELECT :x;", "SELECT 1e5, 1E'x;', 0x1;", "SELECT 'a' 'b;' ;",
                "SELECT \\", "\\", "\\\nSELECT 1;", "SELECT 1 \\\n;", "SELECT 1\\set x 2\nSELECT :x;", "  \\set x 3\nSELECT :x;",
                "\\SET x 4\nSELECT :x;", "\\set x\\\n 5 \\\n + 1\nSELECT :x;", "\\set\\\nx 5\nSELECT :x;", "\\set x 5\\ \nSELECT :x;",
                "\\set x :y\nSELECT 1;", "\\set y 2\n\\set x :y * :y\n\\set y :x\nSELECT :x, :y;",
                "\\set d 0.1 + 0.2\n\\set n null\n\\set b 1 = 1\n\\set e 1e20\n\\set i 9.0\nSELECT :d, :n, :b, :e, :i;",
                "\\set \u00e4 3\nSELECT :\u00e4, :\u00e4_b;", "\\set a1_ 3\nSELECT :a1_, :a1;", "SELECT :scale, :random_seed, :default_seed;"]


def meta_scripts():
    yield from ["\\if 1\nSELECT 1;\n\\endif", "\\if 0\nSELECT 1;\n\\endif", "\\if 0\nSELECT 1;\n\\else\nSELECT 2;\n\\endif",
                "\\if null\nSELECT 1;\n\\elif 0.5\nSELECT 2;\n\\elif 1\nSELECT 3;\n\\else\nSELECT 4;\n\\endif",
                "\\if 0\n\\elif 0\nSELECT 2;\n\\endif\nSELECT 5;", "\\if true\n\\if false\nSELECT 1;\n\\else\nSELECT 2;\n\\endif\n\\endif",
                "\\if false\n\\if true\nSELECT 1;\n\\else\nSELECT 2;\n\\endif\n\\else\nSELECT 3;\n\\endif",
                "\\if 1\n\\set x 1\n\\elif 1 / 0\n\\endif\nSELECT :x;", "\\if 0\n\\set x 1 / 0\n\\endif\nSELECT 1;",
                "\\if 1 / 0\nSELECT 1;\n\\endif", "\\if\nSELECT 1;\n\\endif", "\\if 1\nSELECT 1;", "\\endif", "\\else", "\\elif 1",
                "\\if 1\n\\else\n\\else\n\\endif", "\\if 1\n\\else\n\\elif 1\n\\endif", "\\if 1\n\\endif 2", "\\if 1\n\\else 2\n\\endif",
                "\\if 1 SELECT 1;\n\\endif", "\\IF 1\nSELECT 1;\n\\EndIf", "\\if 1\n\\endif",
                "\\sleep 1 us\nSELECT 1;", "\\sleep 1us\nSELECT 1;", "\\sleep 0\nSELECT 1;", "\\sleep 1 MS\nSELECT 1;", "\\sleep", "\\sleep x",
                "\\sleep 1 min", "\\sleep 1 ms 2", "\\sleep 1m s", "\\sleep :t us\nSELECT 1;", "\\set t 1\n\\sleep :t us\nSELECT 1;",
                "\\sleep 1.5 us", "\\sleep -1 us\nSELECT 1;", "\\sleep +1 us\nSELECT 1;", 
                "\\gset", "\\aset", "\\set x 1\n\\gset", "SELECT 1 AS a \\gset\n\\gset", "SELECT 1 \\gset a b", "\\if 1\nSELECT 1;\n\\endif\n\\gset",
                "\\set", "\\set x", "\\set x 1 2", "\\set x=1", "\\foo", "\\setx 1", "\\startpipeline now",
                "\\endpipeline now", "\\shell", "\\setshell x", "\\setshell", "\\shell true\nSELECT 1;", "SELECT 1; \\sleep 1 us\nSELECT 2;"]


# What pgbench takes up, and fails in or goes on with while it runs, and what we refuse beforehand: see docs/pgbench.md.
REFUSED_EARLIER = {"\\sleep + us": 0, "\\set 1 2": 2, "\\set x-y 1": 2,
                   "\\set x least(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)": 2}


class ScriptLanguage(Case):
    @classmethod
    def setUpClass(cls):
        if PGBENCH is None:
            raise unittest.SkipTest("pgbench is not installed")

    def setUp(self):
        super().setUp()
        self.log = os.path.join(self.lab.folder, "statements")
        self.script = os.path.join(self.lab.folder, "script.sql")
        self.server = self.wire_server("--log", self.log)
        self.compared = 0
        self.differences = []
        self.addCleanup(self.expect_no_differences)

    def expect_no_differences(self):
        print(f"{self.compared} scripts", file=sys.stderr)
        self.assertEqual(self.differences, [], "\n".join(self.differences[:40]))

    def pgbench(self, *options):
        with open(self.log, "rb") as log:
            before = log.seek(0, os.SEEK_END)
            done = subprocess.run(
                [PGBENCH, "-n", "-c1", "-j1", "-t1", "--random-seed=42", *options, "-f", self.script, self.server.conninfo],
                capture_output=True, text=True, timeout=20)
            log.seek(before)
            sent = log.read().decode().splitlines()
        debugged = re.findall(r"^debug\(script=0,command=\d+\): (.*)$", done.stderr, re.M)
        return done.returncode, debugged, sent, done.stderr

    def ours(self, *options):
        done = subprocess.run([lab.program("script_trace"), "--random-seed=42", *options, self.script],
                              capture_output=True, text=True, timeout=20)
        lines = done.stdout.splitlines()
        debugged = [line[len("debug "):] for line in lines if line.startswith("debug ")]
        return done.returncode, debugged, [line for line in lines if not line.startswith("debug ")], done.stderr

    def compare(self, script, options=(), extended=False):
        """What both did; a difference is noted."""
        with open(self.script, "w", newline="") as file:
            file.write(script)
        theirs = self.pgbench(*options, *(["-M", "extended"] if extended else []))
        ours = self.ours(*options, *(["--extended"] if extended else []))
        self.compared += 1
        if theirs[:3] != ours[:3]:
            self.differences.append(f"{script!r} {options}\n  pgbench: {theirs}\n  ours:    {ours}")
        return ours

    def compare_all(self, scripts, **more):
        for script in scripts:
            self.compare(script, **more)

    def test_operators(self):
        for expressions in operator_expressions():
            # The first that fails ends a script: what comes after it is for the next.
            while expressions:
                _, _, sent, _ = self.compare(sets(*expressions))
                expressions = expressions[len(sent) + 1:]

    def test_precedence(self):
        self.compare_all(precedence_scripts())

    def test_functions(self):
        self.compare_all(function_scripts())

    def test_grown_expressions(self):
        grower = Grower(os.environ.get("TRUNKLOAD_SEED", "1"))
        for _ in range(int(os.environ.get("TRUNKLOAD_SCRIPTS", "150"))):
            self.compare(grower.script(), ("-D", "v=3"))

    def test_random_draws(self):
        self.compare_all(random_scripts())

    def test_literals(self):
        self.compare_all(literal_scripts())

    def test_variables_given_as_text(self):
        for script, text in text_variable_scripts():
            self.compare(script, ("-D", f"v={text}"))

    def test_statements(self):
        self.compare_all(statement_scripts())

    def test_statements_with_the_extended_protocol(self):
        self.compare_all(statement_scripts(), extended=True)

    def test_what_is_refused_earlier(self):
        for script, status in REFUSED_EARLIER.items():
            with self.subTest(script=script):
                with open(self.script, "w") as file:
                    file.write(script)
                self.assertEqual(self.pgbench()[0], status)
                self.assertEqual(self.ours()[0], 1)

    def test_meta_commands(self):
        self.compare_all(meta_scripts())


if __name__ == "__main__":
    unittest.main(verbosity=2)
