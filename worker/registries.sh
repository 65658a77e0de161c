# Asks the package managers of this image, in the repository's folder, which registries they are configured with.
# Arguments: the ones to ask; without any, all. Writes lines "NAME scheme://host:port", and never more of an address,
# since the rest may hold a token.

# Lines with addresses -> lines of the answer, under the name $1.
hosts() {
  sed -E 's#(https?://)[^/@[:space:]]*@#\1#g' | grep -aoE "https?://[^][:space:]\"'<>|,;()=/?#@]+" |
    sed "s/^/$1 /" | sort -u
}

have() { command -v "$1" >/dev/null 2>&1; }

quick() {
  if have timeout; then timeout 20 "$@"; else "$@"; fi 2>/dev/null </dev/null
}

ask_npm() {
  have npm || return
  # As JSON it leaves out an address with a password.
  quick npm config list --long | grep -iE '^(@[^ ]+:)?registry = ' | hosts npm
}

ask_pnpm() {
  have pnpm || return
  { quick pnpm config get registry; quick pnpm config list | grep -iE '^ *"?(@[^=":]*:)?registry"? *[=:]'; } | hosts pnpm
}

ask_yarn() {
  yarn=$(command -v yarn) || for program in .yarn/releases/yarn-*.cjs; do
    [ -f "$program" ] && have node && yarn="node $program"
  done
  [ -n "$yarn" ] || return
  # Unquoted: it may be two words. Yarn 1 has the first key, later ones have the other.
  { quick $yarn config get registry; quick $yarn config get npmRegistryServer; } | grep -E '^https?://' | hosts yarn
}

ask_pip() {
  python=python3
  have python3 || python=python
  have "$python" || return
  # What a virtual environment would install is asked where pip itself is not installed.
  answer=$(quick "$python" -c '
import glob, os, runpy, sys
try:
    import pip
except ImportError:
    try:
        import ensurepip
        bundled = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
    except ImportError:
        bundled = ""
    sys.path[:0] = glob.glob(os.path.join(bundled, "pip-*.whl")) + glob.glob("/usr/share/python-wheels/pip-*.whl")
from pip._internal.models.index import PyPI
print("default=" + PyPI.simple_url)
print("default=https://" + PyPI.file_storage_domain, flush=True)
sys.argv = ["pip", "config", "list"]
runpy.run_module("pip", run_name="__main__")
')
  printf '%s\n' "$answer" | grep -E '^default=' | hosts pip-default
  printf '%s\n' "$answer" | grep -iE '^[^=]*\.index[-_]url=' | hosts pip
  printf '%s\n' "$answer" | grep -iE '^[^=]*\.(extra[-_]index[-_]url|find[-_]links)=' | hosts pip-more
}

ask_uv() {
  have uv || return
  quick uv --no-pager help pip install | tr -s '\n ' '  ' | grep -oE 'by default: <?https?://[^ >)]+' | hosts uv
  env | grep -E '^UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS)=' | hosts uv
  cat /etc/uv/uv.toml "${XDG_CONFIG_HOME:-$HOME/.config}/uv/uv.toml" 2>/dev/null | grep -vE '^ *#' | hosts uv
}

ask_go() {
  have go || return
  quick env GOTOOLCHAIN=local go env GOPROXY GOSUMDB | hosts go
  quick env GOTOOLCHAIN=local go env GOSUMDB | sed -e '/^off$/d' -e 's/[+ ].*//' -e 's#^#https://#' | hosts go
}

# Cargo names the index that it can't reach. Once it reaches it, the index names the host of the crates.
ask_cargo() {
  have cargo || return
  home=${CARGO_HOME:-$HOME/.cargo}
  cat "$home"/config.toml "$home"/config 2>/dev/null | grep -E '^[^#]*(registry|index) *=' | hosts cargo-named
  env | grep -E '^CARGO_(REGISTRIES|SOURCE)_[A-Z0-9_]*_(INDEX|REGISTRY)=' | hosts cargo-named
  mkdir -p "$scratch/crate/src" "$scratch/cargo"
  cp "$home"/config.toml "$home"/config "$scratch/cargo/" 2>/dev/null
  cp -R .cargo "$scratch/crate/" 2>/dev/null
  printf '[package]\nname = "a"\nversion = "0.0.0"\n[dependencies]\nb = "*"\n' >"$scratch/crate/Cargo.toml"
  : >"$scratch/crate/src/lib.rs"
  said=$(cd "$scratch/crate" && CARGO_NET_RETRY=0 CARGO_HOME=$scratch/cargo && export CARGO_NET_RETRY CARGO_HOME &&
    LC_ALL=C quick sh -c 'cargo fetch 2>&1')
  printf '%s\n' "$said" | grep -E 'failed to (download from|fetch) `' | hosts cargo-index
  cat "$scratch"/cargo/registry/index/*/config.json 2>/dev/null | grep -oE '"dl" *: *"[^"]*"' | hosts cargo
}

ask_gem() {
  have gem && quick gem sources | grep -E '^ *https?://' | hosts gem
  have bundle && quick bundle config list --parseable | grep -E '^mirror\.' | hosts gem
}

# The super-POM lies in a jar of Maven's own.
ask_maven() {
  have mvn || return
  home=$(dirname "$(dirname "$(readlink -f "$(command -v mvn)")")")
  pom=org/apache/maven/model/pom-4.0.0.xml
  for jar in "$home"/lib/maven-model-builder*.jar; do
    if have unzip; then unzip -p "$jar" $pom; else (cd "$scratch" && jar xf "$jar" $pom && cat $pom); fi 2>/dev/null
  done | grep -oE '<url>[^<]*' | hosts maven
  # One comment a line, then none.
  cat "$home/conf/settings.xml" "$HOME/.m2/settings.xml" 2>/dev/null | tr '\n' ' ' | sed 's/-->/\
/g' | sed 's/<!--.*//' | grep -oE '<url>[^<]*' | hosts maven
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
export COREPACK_ENABLE_NETWORK=0 COREPACK_ENABLE_DOWNLOAD_PROMPT=0 npm_config_fetch_retries=0
export npm_config_manage_package_manager_versions=false YARN_ENABLE_TELEMETRY=0 PIP_DISABLE_PIP_VERSION_CHECK=1
for name in ${*:-npm pnpm yarn pip uv go cargo gem maven}; do "ask_$name" & done
wait
exit 0
