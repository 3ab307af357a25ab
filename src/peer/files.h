/* SPDX-License-Identifier: MIT */
/*
 * files - a folder served over HTTP: which file a path means, what its head says, and its bytes as
 * the peer takes them.
 */
#ifndef LN_FILES_H
#define LN_FILES_H

#include "base/alloc.h"

typedef struct ln_files ln_files;
typedef struct ln_filesend ln_filesend; /* one file on its way to one peer */
typedef struct ln_exchange ln_exchange;
typedef struct ln_request ln_request;

/* Opens the folder; it is the same one for good, even if it is renamed. LN_ERR_NOT_FOUND,
 * LN_ERR_ACCESS, LN_ERR_NOMEM. */
LN_NODISCARD int ln_files_new(const char *directory, const ln_allocator *alloc, ln_files **files);
void ln_files_free(ln_files *files);

/* Answers a GET or HEAD whose path is `rest` below the folder (RFC 9110 sections 13, 14). */
void ln_files_answer(const ln_files *files, ln_request *request, const char *rest);

/* Moves the next bytes into the exchange's output. True when all are there. A file that shrank ends
 * the connection. */
bool ln_filesend_more(ln_filesend *send, ln_exchange *x);
void ln_filesend_free(ln_filesend *send);

#endif
