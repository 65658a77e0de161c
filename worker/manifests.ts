import { submodule, trackedAt } from "../sandbox/tracked.ts";
import { textOf } from "./checkout.ts";

/** A file that decides what set-up installs, and its content's id. */
export interface Manifest {
  path: string;
  oid: string;
}

/**
 * Whether a path is a manifest, a lock file, a package manager's configuration or program, a pinned version of a tool
 * or a patch of a dependency, in any folder. A change of one may change what set-up installs.
 */
export function isManifest(path: string): boolean {
  const at = path.lastIndexOf("/") + 1;
  return names.test(path.slice(at)) || folders.test(path);
}

/** The manifests of a commit, in the order of git; nothing is checked out. */
export async function manifestsOf(mirror: string, commit: string): Promise<Manifest[]> {
  const tracked = await trackedAt({ mirror }, commit);
  return [...tracked]
    .filter(([path, { mode }]) => isManifest(path) && mode !== submodule)
    .map(([path, { oid }]) => ({ path: textOf(path), oid }));
}

const names = anyOf([
  // JavaScript
  /package\.json|package-lock\.json|npm-shrinkwrap\.json|\.npmrc|\.npmignore/,
  /yarn\.lock|\.yarnrc(\.ya?ml)?|\.pnp\.[cm]?js|pnpm-lock\.yaml|pnpm-workspace\.yaml|\.pnpmfile\.[cm]?js|pnpmfile\.js/,
  /bun\.lockb?|bunfig\.toml|deno\.jsonc?|deno\.lock|lerna\.json|rush\.json/,
  // Python
  /.*requirements.*\.(txt|in)|.*constraints.*\.txt|pyproject\.toml|setup\.py|setup\.cfg|tox\.ini|noxfile\.py/,
  /Pipfile(\.lock)?|(poetry|uv|pdm|pixi|conda)(-lock)?\.(lock|ya?ml)|(uv|poetry|pdm|pixi)\.toml|pylock(\..+)?\.toml/,
  /pip\.conf|environment.*\.ya?ml/,
  // Go, Rust, C and C++
  /go\.(mod|sum|work|work\.sum)|Cargo\.(toml|lock)|rust-toolchain(\.toml)?|conanfile\.(txt|py)|conan\.lock|vcpkg.*\.json/,
  // Ruby, PHP, Perl
  /Gemfile.*|gems\.(rb|locked)|.*\.gemspec|composer\.(json|lock)|auth\.json|cpanfile(\.snapshot)?/,
  // JVM
  /pom\.xml|mvnw|gradlew|(build|settings|init)\.gradle(\.kts)?|gradle\.(properties|lockfile)|.*\.versions\.toml/,
  /verification-metadata\.xml|build\.sbt|project\.clj|deps\.edn|ivy\.xml/,
  // Elixir, Erlang, Haskell, .NET, Swift, Dart, Nix, Bazel
  /mix\.(exs|lock)|rebar\.(config|lock)|.*\.cabal|cabal\.project.*|stack\.yaml(\.lock)?/,
  /.*\.(cs|fs|vb)proj|packages\.(lock\.json|config)|Directory\..*\.props|[Nn]u[Gg]et\.[Cc]onfig|global\.json|paket\..*/,
  /Package\.(swift|resolved)|pubspec\.(ya?ml|lock)|Podfile(\.lock)?|flake\.(nix|lock)|MODULE\.bazel(\.lock)?/,
  // Versions of the tools
  /\.tool-versions|\.?mise\.toml|\.(node|python|ruby|java|go|terraform)-version|\.nvmrc|\.sdkmanrc|\.?Brewfile.*/,
]);

const folders = new RegExp(
  `(?:^|/)(?:${[
    /\.cargo\/config(\.toml)?$/,
    /\.bundle\/config$/,
    /\.mvn\//,
    /\.yarn\/(patches|plugins|releases)\//,
    /requirements\/[^/]+\.(txt|in)$/,
    /gradle\/wrapper\//,
    /buildSrc\//,
    /project\/[^/]+\.(sbt|properties)$/,
    /patches\/.+\.(patch|diff)$/,
  ]
    .map(({ source }) => source)
    .join("|")})`,
);

function anyOf(patterns: readonly RegExp[]): RegExp {
  return new RegExp(`^(?:${patterns.map(({ source }) => source).join("|")})$`, "s");
}
