#include "cli/table.h"

#include "json/reader.h"

void table_cell(struct buf *b, struct str s, size_t width)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_byte(b, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    for (size_t i = s.n; i < width; i++)
        buf_byte(b, ' ');
}

struct str table_json_text(struct str raw, struct buf *scratch)
{
    struct json_doc d = {0};
    struct json_error bad;
    struct str text = STR_NONE;
    buf_clear(scratch, SIZE_MAX);
    if (raw.n && json_read(&d, raw, &json_limits_default, &bad) == 0 &&
        json_is(&d, 0, JSON_STRING) && json_string_append(&d, 0, scratch) == 0)
        text = buf_view(scratch);
    json_doc_release(&d);
    return text;
}
