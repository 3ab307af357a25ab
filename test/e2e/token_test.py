#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`linnet token` against independent implementations: PyJWT, Node's crypto, keys made by openssl.

How it is run is said in kit.py.
"""
import base64
import json
import os
import subprocess
import sys
import time

from kit import Folder, LINNET, main, prerequisites, test

with prerequisites():
    import jwt
    from cryptography.hazmat.primitives import serialization

ALGORITHMS = ["%s%d" % (family, bits) for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)]
SECRET = "0123456789abcdef" * 4
CLAIMS = {"sub": "u-1", "name": "Zo\u00eb \"Z\"", "roles": ["member", "b c"], "n": {"deep": [1, 2.5, None, True]}}
path = Folder(prefix="linnet-token-").path


def run(*words, stdin="", secret=None):
    environment = {k: v for k, v in os.environ.items() if k != "LINNET_JWT_SECRET"}
    if secret is not None:
        environment["LINNET_JWT_SECRET"] = secret
    return subprocess.run([LINNET, "token", *words], input=stdin, env=environment, capture_output=True, text=True, timeout=20)


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def make_keys():
    path("secret", SECRET + "\n")
    openssl("genrsa", "-out", path("rsa.pem"), "2048")
    openssl("rsa", "-in", path("rsa.pem"), "-pubout", "-out", path("rsa.pub"))
    openssl("rsa", "-in", path("rsa.pem"), "-RSAPublicKey_out", "-out", path("rsa.pkcs1"))
    for bits, curve in ((256, "prime256v1"), (384, "secp384r1"), (521, "secp521r1")):
        openssl("ecparam", "-name", curve, "-genkey", "-out", path("ec%d.pem" % bits))  # parameters stand before the key
        openssl("ec", "-in", path("ec%d.pem" % bits), "-pubout", "-out", path("ec%d.pub" % bits))


def key_name(algorithm):
    return "rsa" if algorithm[0] in "RP" else "ec" + {"256": "256", "384": "384", "512": "521"}[algorithm[2:]]


def signing_key(algorithm):
    """For PyJWT; PEM without the parameters that stand before it."""
    if algorithm[0] == "H":
        return SECRET
    text = open(path(key_name(algorithm) + ".pem")).read()
    return text[text.rindex("-----BEGIN"):]


def verify_words(algorithm):
    return ("--secret-file", path("secret")) if algorithm[0] == "H" else ("--key", path(key_name(algorithm) + ".pub"))


def accepted(token, *words, **more):
    done = run("verify", *words, token, **more)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def refused(token, reason, *words, code=1, **more):
    done = run("verify", *words, token, **more)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    assert reason in done.stderr, done.stderr
    assert SECRET not in done.stderr and (len(token) < 20 or token not in done.stderr), done.stderr
    for part in token.split("."):
        assert len(part) < 10 or part not in done.stderr, done.stderr


def signed(algorithm, *words):
    words += ("--secret-file", path("secret")) if algorithm[0] == "H" else ("--key", path(key_name(algorithm) + ".pem"))
    done = run("sign", "--alg", algorithm, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


@test
def what_pyjwt_signs_is_accepted():
    for algorithm in ALGORITHMS:
        token = jwt.encode(CLAIMS, signing_key(algorithm), algorithm=algorithm)
        assert accepted(token, *verify_words(algorithm)) == CLAIMS, algorithm


@test
def what_we_sign_pyjwt_accepts():
    for algorithm in ALGORITHMS:
        token = signed(algorithm, "--sub", CLAIMS["sub"], "--name", CLAIMS["name"], "--role", "member", "--role", "b c",
                       "--claim", "n:=" + json.dumps(CLAIMS["n"]), "--claim", "text=7", "--iss", "me", "--aud", "you", "--exp", "1h",
                       "--nbf", "0s", "--kid", "k1")
        key = SECRET if algorithm[0] == "H" else open(path(key_name(algorithm) + ".pub")).read()
        claims = jwt.decode(token, key, algorithms=[algorithm], audience="you", issuer="me",
                            options={"require": ["exp", "iat", "nbf", "sub"]})
        assert {k: claims[k] for k in CLAIMS} == CLAIMS, claims
        assert claims["text"] == "7" and abs(claims["exp"] - time.time() - 3600) < 30
        assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT", "kid": "k1"}


NODE = r"""
const crypto = require("crypto"), fs = require("fs");
const [mode, algorithm, keyFile, token] = process.argv.slice(1);
const key = fs.readFileSync(keyFile, "utf8").trim().replace(/^[^]*(?=-----BEGIN (?:EC |RSA )?PRIVATE)/, "");
const hash = "sha" + algorithm.slice(2), url = (b) => Buffer.from(b).toString("base64url");
const how = { key, dsaEncoding: "ieee-p1363" };
if (algorithm[0] == "P")
    Object.assign(how, { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST });
const hmac = (input) => crypto.createHmac(hash, key).update(input).digest();
if (mode == "sign") {
    const input = url(JSON.stringify({ alg: algorithm })) + "." + url(JSON.stringify({ sub: "from-node" }));
    const signature = algorithm[0] == "H" ? hmac(input) : crypto.sign(hash, Buffer.from(input), how);
    console.log(input + "." + url(signature));
} else {
    const at = token.lastIndexOf("."), input = token.slice(0, at), signature = Buffer.from(token.slice(at + 1), "base64url");
    const good = algorithm[0] == "H" ? crypto.timingSafeEqual(hmac(input), signature)
                                     : crypto.verify(hash, Buffer.from(input), how, signature);
    console.log(good);
}
"""


def node(*words):
    done = subprocess.run(["node", "-e", NODE, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@test
def node_and_we_accept_each_other():
    for algorithm in ("HS256", "HS512", "RS256", "PS384", "ES256", "ES512"):
        private = path("secret" if algorithm[0] == "H" else key_name(algorithm) + ".pem")
        public = path("secret" if algorithm[0] == "H" else key_name(algorithm) + ".pub")
        assert accepted(node("sign", algorithm, private), *verify_words(algorithm)) == {"sub": "from-node"}
        assert node("verify", algorithm, public, signed(algorithm, "--sub", "x")) == "true"


@test
def keys_come_in_all_of_openssls_forms():
    token = jwt.encode(CLAIMS, signing_key("RS256"), algorithm="RS256")
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", path("rsa.pem"), "-out", path("rsa.pkcs8"))
    for file in ("rsa.pub", "rsa.pkcs1", "rsa.pem", "rsa.pkcs8"):
        assert accepted(token, "--key", path(file)) == CLAIMS, file
    token = jwt.encode(CLAIMS, signing_key("ES256"), algorithm="ES256")
    for file in ("ec256.pub", "ec256.pem"):
        assert accepted(token, "--key", path(file)) == CLAIMS, file
    openssl("rsa", "-in", path("rsa.pem"), "-aes128", "-passout", "pass:x", "-out", path("rsa.locked"))
    refused(token, "no public key", "--key", path("rsa.locked"))


def number(value, size=None):
    return base64.urlsafe_b64encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def jwk(name, **more):
    numbers = serialization.load_pem_public_key(open(path(name + ".pub"), "rb").read()).public_numbers()
    if name == "rsa":
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **more}
    size = (int(name[2:]) + 7) // 8
    return {"kty": "EC", "crv": "P-" + name[2:], "x": number(numbers.x, size), "y": number(numbers.y, size), **more}


@test
def a_key_set_of_several_kinds():
    keys = [jwk("rsa", kid="a", use="sig"), jwk("ec256", kid="b", alg="ES256"), jwk("ec521", kid="c", key_ops=["verify"]),
            {"kty": "oct", "kid": "d", "k": number(int.from_bytes(SECRET.encode(), "big"), 64)},
            {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "e"}, jwk("ec384", kid="f", use="enc")]
    file = path("set.json", json.dumps({"keys": keys}, indent=2))
    for algorithm, kid in (("RS256", "a"), ("PS512", "a"), ("ES256", "b"), ("ES512", "c"), ("HS512", "d")):
        for name in (kid, None):
            token = jwt.encode(CLAIMS, signing_key(algorithm), algorithm=algorithm, headers={"kid": name} if name else {})
            assert accepted(token, "--jwks", file) == CLAIMS, algorithm
        token = jwt.encode(CLAIMS, signing_key(algorithm), algorithm=algorithm, headers={"kid": "x"})
        refused(token, "no key fits", "--jwks", file)
    refused(jwt.encode(CLAIMS, signing_key("ES384"), algorithm="ES384"), "no key fits", "--jwks", file)


@test
def what_pyjwt_refuses_we_refuse():
    now = int(time.time())
    for claims, reason in (({"exp": now - 10}, "has expired"), ({"nbf": now + 60}, "not valid yet"), ({"exp": "soon"}, "malformed"),
                           ({"iss": "you"}, "another issuer"), ({"aud": "them"}, "another audience"), ({}, "another issuer")):
        claims = {**({"iss": "me", "aud": "us"} if claims else {}), **claims}
        token = jwt.encode(claims, SECRET, algorithm="HS256") if claims.get("exp") != "soon" else raw({"alg": "HS256"}, claims)
        refused(token, reason, "--secret-file", path("secret"), "--iss", "me", "--aud", "us")
        try:
            jwt.decode(token, SECRET, algorithms=["HS256"], issuer="me", audience="us")
            assert False, claims
        except jwt.InvalidTokenError:
            pass


def raw(header, claims):
    """HS256 over whatever the header says."""
    import hashlib
    import hmac
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in (header, claims)]
    mac = hmac.new(SECRET.encode(), b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


@test
def tricks_with_the_header_are_refused():
    words = ("--secret-file", path("secret"))
    for header in ({"alg": "none"}, {"alg": "None"}, {}, {"alg": "HS256", "crit": ["exp"]}, {"alg": "HS256", "b64": False}):
        refused(raw(header, {"sub": "x"}), "not accepted", *words)
    refused(jwt.encode(CLAIMS, None, algorithm="none"), "not accepted", *words)
    public = open(path("rsa.pub")).read()
    header, claims = ({"alg": "HS256"}, {"sub": "x"})
    global SECRET
    before, SECRET = SECRET, public
    try:
        confused = raw(header, claims)
    finally:
        SECRET = before
    refused(confused, "no key fits", "--key", path("rsa.pub"))
    refused(jwt.encode(CLAIMS, SECRET, algorithm="HS256"), "not accepted", *words, "--alg", "HS512")


@test
def tokens_come_by_standard_input_and_secrets_by_the_environment():
    done = run("sign", "--sub", "x", secret=SECRET)
    assert done.returncode == 0, done.stderr
    for words in ((), ("-",)):
        done2 = run("verify", *words, stdin="  " + done.stdout + "\n", secret=SECRET)
        assert done2.returncode == 0 and json.loads(done2.stdout)["sub"] == "x", done2.stderr
    assert run("verify", stdin="", secret=SECRET).returncode == 1
    assert run("verify", stdin="a" * 100000 + "\n", secret=SECRET).returncode == 1
    # A key in the hand counts more than one in the environment.
    done = run("sign", "--alg", "ES256", "--key", path("ec256.pem"), secret=SECRET)
    assert done.returncode == 0, done.stderr
    refused(jwt.encode(CLAIMS, SECRET, algorithm="HS256"), "no key fits", "--key", path("ec256.pub"), secret=SECRET)


@test
def mistakes_are_told_with_their_exit_codes():
    for words, code, reason in (
            ((), 2, "sign or verify"), (("frobnicate",), 2, "one word too many"), (("sign",), 2, "--secret-file"),
            (("verify", "x"), 2, "--secret-file"), (("sign", "--secret", "x"), 2, "--secret"),
            (("sign", "--key", path("rsa.pem")), 2, "--key needs --alg"),
            (("sign", "--secret-file", path("secret"), "--exp", "soon"), 2, "--exp"),
            (("sign", "--secret-file", path("secret"), "--claim", "x"), 2, "--claim"),
            (("sign", "--secret-file", path("secret"), "--claim", ":=1"), 2, "--claim"),
            (("sign", "--secret-file", path("secret"), "--alg", "none"), 1, "no such algorithm"),
            (("sign", "--secret-file", path("secret"), "--claim", "a:={"), 1, "not JSON"),
            (("sign", "--secret-file", path("secret"), "--sub", "a", "--claim", "sub=b"), 1, "twice"),
            (("sign", "--secret-file", path("weak", "short\n")), 1, "fewer than 32"),
            (("sign", "--secret-file", path("nothing")), 1, "not found"),
            (("sign", "--alg", "RS256", "--key", path("ec256.pem")), 1, "not good for RS256"),
            (("verify", "--jwks", path("secret"), "x"), 1, "JSON"), (("verify", "--key", path("nothing"), "x"), 1, "No such file"),
            (("verify", "--secret-file", path("secret"), "x"), 1, "malformed")):
        done = run(*words)
        assert (done.returncode, done.stdout) == (code, ""), (words, done)
        assert reason in done.stderr, (words, done.stderr)
        assert SECRET not in done.stderr


if __name__ == "__main__":
    make_keys()
    sys.exit(main())
