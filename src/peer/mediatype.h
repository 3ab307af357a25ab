/* SPDX-License-Identifier: MIT */
/* mediatype - the Content-Type for a file name, by its extension. */
#ifndef LN_MEDIATYPE_H
#define LN_MEDIATYPE_H

/* "application/octet-stream" for what is not known. Static. */
const char *ln_media_type(const char *path);

#endif
