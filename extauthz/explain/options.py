"""The options of curl that we follow, or that change nothing we look at. All others are refused."""

from collections.abc import Mapping

_FLAGS = """
    alpn basic buffer compressed create-dirs disable fail fail-early fail-with-body false-start get globoff head
    http0.9 http1.0 http1.1 http2 http2-prior-knowledge http3 http3-only include insecure ipv4 ipv6 keepalive location
    location-trusted npn parallel path-as-is post301 post302 post303 progress-bar progress-meter proxy-insecure raw
    remote-header-name remote-name remote-name-all remote-time remove-on-error retry-all-errors retry-connrefused
    sessionid show-error silent ssl ssl-reqd styled-output tcp-fastopen tcp-nodelay tlsv1 tlsv1.0 tlsv1.1 tlsv1.2
    tlsv1.3 tr-encoding trace-ids trace-time verbose xattr
"""
_FORM = "form form-string"
_DATA = "data data-ascii data-binary data-raw data-urlencode json"
_VALUED = """
    abstract-unix-socket alt-svc cacert capath cert cert-type ciphers connect-timeout connect-to cookie cookie-jar
    crlfile curves dns-servers doh-url dump-header expect100-timeout happy-eyeballs-timeout-ms header hsts interface
    keepalive-time key key-type limit-rate local-port max-filesize max-redirs max-time noproxy oauth2-bearer output
    output-dir pass pinnedpubkey preproxy proto proto-default proto-redir proxy proxy-header proxy-user range rate
    referer request resolve retry retry-delay retry-max-time socks4 socks4a socks5 socks5-hostname speed-limit
    speed-time stderr tls-max tls13-ciphers trace trace-ascii unix-socket url url-query user user-agent write-out
"""
_SHORT = """
    #:progress-bar 0:http1.0 1:tlsv1 4:ipv4 6:ipv6 A:user-agent D:dump-header E:cert F:form G:get H:header I:head
    J:remote-header-name L:location N:buffer O:remote-name R:remote-time S:show-error U:proxy-user X:request
    Y:speed-limit Z:parallel b:cookie c:cookie-jar d:data e:referer f:fail g:globoff i:include k:insecure m:max-time
    o:output q:disable r:range s:silent u:user v:verbose w:write-out x:proxy y:speed-time
"""

FLAGS = frozenset(_FLAGS.split())
FORM = frozenset(_FORM.split())  # each makes the request a POST
DATA = frozenset(_DATA.split())  # so does each of these, unless -G puts it into the query
VALUED = FORM | DATA | frozenset(_VALUED.split())
OURS = frozenset(("app", "config", "context", "help", "host", "live", "log", "method", "path", "request-id"))
SHORT: Mapping[str, str] = dict(pair.split(":") for pair in _SHORT.split())
