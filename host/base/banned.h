/* host/base/banned.h - functions that nobody may call: unbounded, or with hidden static state. */
#ifndef MANIFOLD_BASE_BANNED_H
#define MANIFOLD_BASE_BANNED_H

/* Their declarations first, so that the macros below meet only calls. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BANNED(f) this_function_is_banned_##f
#undef strcpy
#define strcpy(d, s) BANNED(strcpy)
#undef strcat
#define strcat(d, s) BANNED(strcat)
#undef strncpy
#define strncpy(d, s, n) BANNED(strncpy)
#undef strncat
#define strncat(d, s, n) BANNED(strncat)
#undef strtok
#define strtok(s, d) BANNED(strtok)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef vsprintf
#define vsprintf(d, f, a) BANNED(vsprintf)
#undef gmtime
#define gmtime(t) BANNED(gmtime)
#undef localtime
#define localtime(t) BANNED(localtime)

#endif
