/* SPDX-License-Identifier: MIT */
/* errors - the words for enum ln_err, and the version; both declared in linnet/types.h. */
#include "base.h"

#define TEXT(x)                      #x
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *ln_strerror(int err)
{
    switch ((enum ln_err)err) {
    case LN_ERR_AGAIN:
        return "nothing to do yet";
    case LN_ERR_WOULD_EXCEED:
        return "the send queue is full";
    case LN_ERR_DROPPED:
        return "the message was dropped";
    case LN_ERR_BUSY:
        return "busy";
    case LN_ERR_CANCELLED:
        return "cancelled";
    case LN_ERR_INVALID:
        return "invalid argument";
    case LN_ERR_STATE:
        return "not possible in this state";
    case LN_ERR_CLOSED:
        return "the connection is closed";
    case LN_ERR_NOT_FOUND:
        return "not found";
    case LN_ERR_EXISTS:
        return "already exists";
    case LN_ERR_LIMIT:
        return "a limit is reached";
    case LN_ERR_UNSUPPORTED:
        return "not supported by this build or system";
    case LN_ERR_PROTOCOL:
        return "protocol violation";
    case LN_ERR_TOO_BIG:
        return "too big";
    case LN_ERR_ENCODING:
        return "invalid encoding";
    case LN_ERR_HANDSHAKE:
        return "the opening handshake failed";
    case LN_ERR_REFUSED:
        return "the server refused the connection";
    case LN_ERR_POLICY:
        return "not permitted";
    case LN_ERR_NOMEM:
        return "out of memory";
    case LN_ERR_IO:
        return "input/output error";
    case LN_ERR_TIMEOUT:
        return "timed out";
    case LN_ERR_RESET:
        return "the connection broke";
    case LN_ERR_RESOLVE:
        return "the host name has no address";
    case LN_ERR_CONNECT:
        return "cannot connect";
    case LN_ERR_TLS:
        return "TLS failure";
    case LN_ERR_ADDRESS:
        return "bad or unavailable address";
    case LN_ERR_DESCRIPTORS:
        return "out of file descriptors";
    case LN_ERR_ACCESS:
        return "access denied";
    }
    return "unknown error";
}

const char *ln_version(void)
{
    return VERSION(LN_VERSION_MAJOR, LN_VERSION_MINOR, LN_VERSION_PATCH);
}
