/* info.c - get_file_info and list_allowed_directories. */
#include <time.h>

#include "place.h"

/* What Date.prototype.toString() says, in the zone of the host. */
static void put_date(const char *key, int64_t ns, struct text *out)
{
    static const char *const day[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const month[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)(ns >= 0 ? ns / 1000000000 : -((-ns + 999999999) / 1000000000));
    struct tm tm;
    if (localtime_r(&t, &tm) == NULL) {
        text_printf(out, "%s: Invalid Date\n", key);
        return;
    }
    long minutes = (tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff) / 60;
    bool utc = strcmp(tm.tm_zone, "UTC") == 0;
    text_printf(out, "%s: %s %s %02d %04d %02d:%02d:%02d GMT%c%02ld%02ld (%s)\n", key,
                day[tm.tm_wday], month[tm.tm_mon], tm.tm_mday, tm.tm_year + 1900, tm.tm_hour,
                tm.tm_min, tm.tm_sec, tm.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60,
                utc ? "Coordinated Universal Time" : tm.tm_zone);
}

bool tool_info(struct job *j, struct text *out)
{
    struct failure f;
    struct place p;
    mf_stat st;
    bool good = place_of(j, "path", &p);
    if (good && !io_stat(j, p.spot, 0, &st, NULL, &f))
        good = fail_as_node(j, &f, "stat", text_string(&p.real), NULL);
    if (good) {
        text_printf(out, "size: %llu\n", (unsigned long long)st.bytes);
        put_date("created", st.created_ns ? st.created_ns : st.changed_ns, out);
        put_date("modified", st.modified_ns, out);
        put_date("accessed", st.accessed_ns, out);
        text_printf(out, "isDirectory: %s\nisFile: %s\npermissions: %03o",
                    st.kind == MF_KIND_DIRECTORY ? "true" : "false",
                    st.kind == MF_KIND_FILE ? "true" : "false", st.mode & 0777);
    }
    place_release(&p);
    return good;
}

bool tool_allowed(struct job *j, struct text *out)
{
    text_cat(out, "Allowed directories:\n");
    allowed_list(j, "\n", out);
    return true;
}
