/*
 * What the answer for a domain's MX records means for its mail (S36 to S38).
 */
#include "daemons/resolver/kinds.h"

const struct verdict verdict_later = {451, "4.4.3"};
const struct verdict verdict_no_domain = {550, "5.4.4"};
const struct verdict verdict_null_mx = {556, "5.1.10"};
const struct verdict verdict_bad_name = {550, "5.1.2"};

struct verdict verdict_mx(const char *domain, const struct dns_answer *a, struct mx_list *l)
{
	l->count = 0;
	switch (a->status) {
	case DNS_TROUBLE: /* S36: the domain's own address is no way round it */
		return verdict_later;
	case DNS_NO_DOMAIN:
		return verdict_no_domain;
	case DNS_NODATA: /* RFC 5321 5.1: implicit MX */
		mx_implicit(domain, l);
		return (struct verdict){0};
	case DNS_FOUND:
		break;
	}
	struct reply p = a->reply;
	mx_read(&p, l);
	if (l->null)
		return verdict_null_mx;
	return l->count > 0 ? (struct verdict){0} : verdict_no_domain;
}
