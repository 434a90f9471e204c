#!/bin/sh
# uv as pip is configured here: uv reads neither PIP_* nor pip.conf, so behind a proxy of one's own certificate or with a
# mirror as index it fails where pip works. What uv is told by its own variables (UV_*, SSL_CERT_FILE) wins.
#   requirements/uv.sh PYTHON UV ARGUMENTS...
set -eu
python=$1 uv=$2
shift 2

# the value that pip would use: the environment first, then its configuration files; folders that are not there left out
pip_says() {
  from_environment=$(printenv "PIP_$(echo "$1" | tr a-z- A-Z_)" || true)
  said=${from_environment:-$("$python" -m pip config get "global.$1" 2>/dev/null || true)}
  for value in $said; do
    case $value in
      file://*) [ -e "${value#file://}" ] || continue ;;
    esac
    printf '%s ' "$value"
  done
}

hand_over() {
  [ -z "$(printenv "$1" || true)" ] || return 0
  value=$(pip_says "$2")
  value=${value% }
  [ -z "$value" ] || export "$1=$value"
}

hand_over UV_FIND_LINKS find-links
hand_over UV_DEFAULT_INDEX index-url
hand_over UV_INDEX extra-index-url
hand_over UV_INSECURE_HOST trusted-host
hand_over SSL_CERT_FILE cert
# as pip: the best version over all indexes, and the certificates of the system
export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}" UV_NATIVE_TLS="${UV_NATIVE_TLS:-1}" UV_LINK_MODE="${UV_LINK_MODE:-copy}"
exec "$uv" "$@"
