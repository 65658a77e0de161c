/**
 * How a language's tests look to somebody who counts words. All patterns are matched against the code with comments blanked
 * and strings emptied to their opening quote, and have bounds on all that repeats: the text is foreign.
 */
export interface Language {
  /** Comments, strings and what else holds no code, each as one match. */
  quiet: RegExp;
  /** Where a test is declared, skipped or not. */
  tests: RegExp;
  /** Its name, in the raw text from there on: the last group that took part. */
  name: RegExp;
  assertions: RegExp;
  skips: RegExp;
  /** Runs only some of the tests. */
  focus?: RegExp;
  /** Makes many tests or assertions of one: counts before and after can't be compared when there are more of these. */
  many: RegExp;
  /** Ends the process that runs the tests. */
  exits: RegExp;
  /** Skips that stand in comments and strings. */
  rawSkips?: RegExp;
}

/** The language of a file, by its extension; undefined for one that nobody counts here. */
export function languageOf(path: string): Language | undefined {
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  return languages.find(({ extensions }) => extensions.test(extension))?.language;
}

const end = String.raw`(?![\s\S])`;
const slashes = String.raw`//[^\n]*|/\*[\s\S]*?(?:\*/|${end})`;
const hashes = String.raw`#[^\n]*`;
const double = String.raw`"[^"\\\n]*(?:\\[\s\S][^"\\\n]*)*"?`;
const single = String.raw`'[^'\\\n]*(?:\\[\s\S][^'\\\n]*)*'?`;
const letter = String.raw`'(?:\\[^\n']{1,10}|[^'\\\n])'`;
const backtick = String.raw`\x60[^\x60\\]*(?:\\[\s\S][^\x60\\]*)*(?:\x60|${end})`;
const triple = (quote: string) => `${quote}{3}[\\s\\S]*?(?:${quote}{3}|${end})`;
const regex = String.raw`(?<=[(,=:[!&|?{};\n+]\s{0,4}|\breturn\s)/(?![*/])(?:[^\\/\n[]|\\.|\[(?:[^\]\\\n]|\\.){0,100}\]){1,200}/`;

const javascript: Language = {
  quiet: any(slashes, double, single, backtick, regex),
  tests: any(
    String.raw`(?<![\w$.]|function )[xf]?(?:it|test|specify)(?:\.[A-Za-z]{1,20}){0,4}\s{0,4}[(\x60]`,
    String.raw`\b(?:t|QUnit|Deno|tap)\.test(?:\.[A-Za-z]{1,20}){0,2}\s{0,4}\(`,
  ),
  name: /["'`]([^"'`\n]{1,200})/,
  assertions: any(
    String.raw`\b(?:expect|assert|expectTypeOf|assertType)(?:\.[A-Za-z]{1,30}){0,3}\s{0,4}\(|\.should\b`,
    String.raw`\b(?:t|tt|st|q|test)\.(?:is|isNot|not|ok|notOk|true|false|truthy|falsy|pass|fail|match|like|error|ifError|same|has|type|regex|snapshot|assert|(?:not)?(?:[sS]trict|[dD]eep|[lL]oose|[dD]eepLoose)?(?:[eE]quals?|Same)|throws(?:Async)?|notThrows|doesNotThrow|rejects|resolves|doesNotMatch)\s{0,4}\(`,
  ),
  skips: any(
    String.raw`(?<![\w$.])(?:it|test|describe|suite|context|specify)(?:\.[A-Za-z]{1,20}){0,3}\.(?:skip|todo|fails|failing|fixme|skipIf|runIf)\b`,
    String.raw`(?<![\w$.])x(?:it|test|describe|specify|context)\s{0,4}\(|\b(?:t|this|ctx|context)\.(?:skip|todo)\s{0,4}\(`,
    String.raw`\b(?:skip|todo)\s{0,4}:\s{0,4}(?:true\b|["'\x60])`,
  ),
  focus: any(
    String.raw`(?<![\w$.])(?:it|test|describe|suite|context|specify)(?:\.[A-Za-z]{1,20}){0,3}\.only\b`,
    String.raw`(?<![\w$.])f(?:it|describe|context)\s{0,4}\(|\bonly\s{0,4}:\s{0,4}true\b`,
  ),
  many: /\.(?:each|for|forEach)\b|\bfor\s{0,4}\(/g,
  exits: /\b(?:process|Deno)\.exit\s{0,4}\(/g,
};

const python: Language = {
  quiet: any(hashes, triple('"'), triple("'"), double, single),
  tests: /\bdef\s{1,4}test\w{0,200}\s{0,4}\(/g,
  name: /def\s{1,4}(\w{1,200})/,
  assertions: any(
    String.raw`\bassert(?:_\w{1,60}\s{0,4}\(|\b)|\bself\.(?:assert|fail)\w{0,60}\s{0,4}\(`,
    String.raw`\bpytest\.(?:raises|warns|fail|deprecated_call)\s{0,4}\(`,
  ),
  skips: any(
    String.raw`\bmark\.(?:skip|skipif|xfail)\b|\bpytest\.(?:skip|xfail|importorskip)\s{0,4}\(|\.skipTest\s{0,4}\(`,
    String.raw`@(?:unittest\.)?(?:skip|skipIf|skipUnless|expectedFailure)\b|\bSkipTest\b|\bcollect_ignore`,
    String.raw`\b__test__\s{0,4}=\s{0,4}False\b`,
  ),
  many: /\bparametrize\b|\bsubTest\b|@given\b|\bfor\b/g,
  exits: /\b(?:os\._exit|sys\.exit|pytest\.exit)\s{0,4}\(/g,
};

const go: Language = {
  quiet: any(slashes, double, String.raw`\x60[^\x60]*(?:\x60|${end})`, letter),
  tests: any(
    String.raw`\bfunc\s{1,4}(?:\([^()\n]{0,100}\)\s{0,4})?(?:Test|Fuzz|Example|Benchmark)\w{0,200}\s{0,4}\(`,
    String.raw`\b[ts]\.Run\s{0,4}\(`,
  ),
  name: /^func\s{1,4}(?:\([^()\n]{0,100}\)\s{0,4})?(\w{1,200})|^\w\.Run\s{0,4}\(\s{0,20}["`]?([^"`\n]{1,200})/,
  assertions: any(
    String.raw`\b(?:t|tb|b|f)\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\s{0,4}\(`,
    String.raw`\b(?:assert|require|is|qt|g|c)\.[A-Z]\w{0,60}\s{0,4}\(|\b(?:Expect|Ω)\s{0,4}\(`,
  ),
  skips: /\b(?:t|tb|b|f|T\(\))\.Skip(?:f|Now)?\s{0,4}\(|\btesting\.Short\s{0,4}\(/g,
  rawSkips: /^\/\/\s?(?:go:build|\+build) /gm,
  many: /\bfor\b/g,
  exits: /\bos\.Exit\s{0,4}\(/g,
};

const rust: Language = {
  quiet: any(
    slashes,
    String.raw`\br(#{1,4})"[\s\S]*?(?:"\1|${end})`,
    String.raw`"[^"\\]*(?:\\[\s\S][^"\\]*)*(?:"|${end})`,
    letter,
  ),
  tests: /#\[\s{0,4}(?:\w{1,40}::){0,2}(?:test|rstest|test_case|bench|quickcheck|wasm_bindgen_test)\b/g,
  name: /\bfn\s{1,4}(\w{1,200})/,
  assertions: /\b(?:debug_|prop_)?assert\w{0,40}!|\bshould_panic\b/g,
  skips: /#\[\s{0,4}ignore\b|\bcfg_attr\s{0,4}\([^()\n]{0,100},\s{0,4}ignore\b/g,
  many: /#\[\s{0,4}(?:case|values|test_case|rstest)\b|\bfor\b/g,
  exits: /\bprocess::(?:exit|abort)\s{0,4}\(/g,
};

const ruby: Language = {
  quiet: any(String.raw`(?<![^\n])=begin\b[\s\S]*?(?:\n=end\b|${end})`, hashes, double, single),
  tests: any(
    String.raw`\bdef\s{1,4}test_\w{1,200}`,
    String.raw`(?<![.\w:])[xf]?(?:it|specify|example|scenario|test)(?:\s{0,4}\(\s{0,4}["']|\s{1,4}["']|\s{1,4}(?:\{|do\b))`,
  ),
  name: /^def\s{1,4}(\w{1,200})|["']([^"'\n]{1,200})/,
  assertions:
    /\b(?:assert|refute|must|wont)(?:_\w{1,60})?\b|\bflunk\b|\bexpect\s{0,2}[({]|\bis_expected\b|\.should(?:_not)?\b/g,
  skips: /(?<![.\w:])(?:x(?:it|describe|context|specify|scenario)|skip|pending)\b(?!:)|\b(?:skip|pending):\s|:skip\b/g,
  focus: /(?<![.\w:])f(?:it|describe|context)\b|\bfocus:\s{0,4}true\b|:focus\b/g,
  many: /\.(?:each|times|each_with_index)\b/g,
  exits: /\b(?:exit!?\s{0,4}\(|exit!|abort\b)/g,
};

const jvm: Language = {
  quiet: any(slashes, triple('"'), double, letter),
  tests: /@(?:Test|ParameterizedTest|RepeatedTest|TestFactory|TestTemplate|Property)\b/g,
  name: /\b(?:void|fun|def)\s{1,4}[`"]?([^`"()\n]{1,200})/,
  assertions: /\bassert(?:\w{0,60}\s{0,4}[({]|\b)|\b(?:verify|fail|expect)\s{0,4}\(|\bshould\w{0,30}\b/g,
  skips: any(
    String.raw`@(?:Disabled\w{0,40}|Ignore|IgnoreIf|Enabled\w{1,40}|PendingFeature|Requires)\b`,
    String.raw`\bassum(?:e|ing)\w{0,30}\s{0,4}\(|\benabled\s{0,4}=\s{0,4}false\b`,
  ),
  many: /@(?:ParameterizedTest|CsvSource|ValueSource|MethodSource|EnumSource|RepeatedTest|TestFactory)\b|\bdataProvider\b|\bfor\b/g,
  exits: /\b(?:System\.exit|exitProcess)\s{0,4}\(/g,
};

const csharp: Language = {
  quiet: any(slashes, triple('"'), String.raw`@"[^"]*(?:""[^"]*)*(?:"|${end})`, double, letter),
  tests: /\[\s{0,4}(?:Fact|Theory|Test|TestCase|TestCaseSource|TestMethod|DataTestMethod)\b/g,
  name: /\b(?:void|Task|ValueTask)\s{1,4}(\w{1,200})/,
  assertions: /\b\w{0,20}Assert\w{0,20}\.\w{1,60}|\.Should\w{0,20}\b|\.Verify\w{0,20}\s{0,4}\(/g,
  skips:
    /\bSkip\s{0,4}=|\[\s{0,4}(?:Ignore|Explicit)\b|\bAssert\.(?:Ignore|Inconclusive|Skip\w{0,10})\b|\bSkip\.If\w{0,5}\b/g,
  many: /\[\s{0,4}(?:Theory|InlineData|MemberData|ClassData|TestCase|TestCaseSource|DataRow)\b|\bforeach\b/g,
  exits: /\bEnvironment\.(?:Exit|FailFast)\s{0,4}\(/g,
};

const php: Language = {
  quiet: any(
    slashes,
    String.raw`#(?!\[)[^\n]*`,
    String.raw`"[^"\\]*(?:\\[\s\S][^"\\]*)*(?:"|${end})`,
    String.raw`'[^'\\]*(?:\\[\s\S][^'\\]*)*(?:'|${end})`,
  ),
  tests: /\bfunction\s{1,4}test\w{0,200}\s{0,4}\(|#\[\s{0,4}Test\b|(?<![\w$>:\\]|function )(?:it|test)\s{0,4}\(/g,
  name: /\bfunction\s{1,4}(\w{1,200})|^\w{1,4}\s{0,4}\(\s{0,20}["']([^"'\n]{1,200})/,
  assertions: /(?:->|::)(?:assert|expect)\w{0,60}\s{0,4}\(|(?<![\w$>:])expect\s{0,4}\(/g,
  skips: /\bmarkTest(?:Skipped|Incomplete)\s{0,4}\(|->(?:skip|todo)\w{0,15}\s{0,4}\(|#\[\s{0,4}Requires\w{0,30}/g,
  focus: /->only\s{0,4}\(/g,
  many: /\bDataProvider\w{0,20}\b|->with\s{0,4}\(|\bTestWith\w{0,10}\b|\bforeach\b/g,
  exits: /\b(?:exit|die)\s{0,4}[(;]/g,
};

const c: Language = {
  quiet: any(slashes, String.raw`\bR"\([\s\S]*?(?:\)"|${end})`, double, letter),
  tests: any(
    String.raw`\b(?:(?:TYPED_)?TEST(?:_[FP]|_CASE(?:_METHOD)?|_METHOD)?|SCENARIO|BOOST_\w{1,20}_TEST_CASE|START_TEST|CTEST|MU_TEST|Test)\s{0,4}\(`,
    String.raw`\b(?:void|int|bool)\s{1,4}test\w{1,200}\s{0,4}\([^;{}()]{0,200}\)\s{0,20}\{`,
  ),
  name: /^(?:void|int|bool)\s{1,4}(\w{1,200})|^\w{1,40}\s{0,4}\(([^)\n]{1,200})/,
  assertions:
    /\b(?:ASSERT|EXPECT|CHECK|REQUIRE|BOOST|TEST_ASSERT|cr_assert|ck_assert|assert|mu_assert|munit_assert|QCOMPARE|QVERIFY)(?:_\w{0,60})?\s{0,4}\(/g,
  skips: /\bGTEST_SKIP\b|\bDISABLED_\w{1,80}|\bTEST_IGNORE\w{0,20}\b|\bQSKIP\b|\bSKIP\s{0,4}\(|#\s{0,4}if\s{1,4}0\b/g,
  rawSkips: /"\[(?:\.|!hide|!mayfail|!shouldfail)/g,
  many: /\bINSTANTIATE_\w{1,40}|\bTEST_P\b|\bGENERATE\b|\bfor\s{0,4}\(/g,
  exits: /\b_?exit\s{0,4}\(/g,
};

const languages: readonly { extensions: RegExp; language: Language }[] = [
  { extensions: /^(?:[cm]?[jt]sx?|vue|svelte)$/, language: javascript },
  { extensions: /^pyi?$/, language: python },
  { extensions: /^go$/, language: go },
  { extensions: /^rs$/, language: rust },
  { extensions: /^(?:rb|rake)$/, language: ruby },
  { extensions: /^(?:java|kts?|groovy|scala)$/, language: jvm },
  { extensions: /^cs$/, language: csharp },
  { extensions: /^php$/, language: php },
  { extensions: /^(?:[ch]|cc|cpp|cxx|hh|hpp|hxx)$/, language: c },
];

function any(...sources: string[]): RegExp {
  return new RegExp(sources.join("|"), "g");
}
