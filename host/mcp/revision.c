#include "mcp/internal.h"

/* 2024-10-07 is what the first SDKs spoke; it reads as 2024-11-05 does. */
const struct str revision_name[REVISIONS] = {
    [R_2024_10_07] = {"2024-10-07", 10}, [R_2024_11_05] = {"2024-11-05", 10},
    [R_2025_03_26] = {"2025-03-26", 10}, [R_2025_06_18] = {"2025-06-18", 10},
    [R_2025_11_25] = {"2025-11-25", 10}, [R_2026_07_28] = {"2026-07-28", 10},
};

enum revision revision_find(struct str name)
{
    int r = 0;
    while (r < REVISIONS && !str_eq(revision_name[r], name))
        r++;
    return (enum revision)r;
}
