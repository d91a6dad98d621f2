/* host/services/http/address.h - which addresses the world may reach, and which only this machine
 * or network.
 *
 * Asked with the address that is really dialled, after every spelling, name and redirect has been
 * resolved; strings are not looked at.  Any thread. */
#ifndef MANIFOLD_SERVICES_ADDRESS_H
#define MANIFOLD_SERVICES_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

enum address_class {
    ADDRESS_PUBLIC,
    ADDRESS_PRIVATE, /* loopback, private, link-local, shared, mapped, ...: `private: true` */
    ADDRESS_NEVER    /* nothing one connects to: multicast, broadcast, other families */
};

/* *ret_kind: what it is in words ("loopback", "link-local"); a constant. */
enum address_class address_classify(const struct sockaddr *sa, size_t len, const char **ret_kind);

#endif
