/* host/config/yaml_error.h - libyaml's complaints as sentences that say what to do. */
#ifndef MANIFOLD_CONFIG_YAML_ERROR_H
#define MANIFOLD_CONFIG_YAML_ERROR_H

#include <yaml.h>
#include "base/err.h"

/* After yaml_parser_parse() failed on `text`: the sentence with "path:line:column: " in front.
 * Returns -EINVAL, or -ENOMEM. */
int yaml_error_set(const yaml_parser_t *p, struct str text, const char *path, struct err *e);

#endif
