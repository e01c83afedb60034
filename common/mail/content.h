/*
 * content: what was seen in a message while it was received; it says later how the message can be
 * sent and stored as it lies.
 */
#ifndef COMMON_MAIL_CONTENT_H
#define COMMON_MAIL_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

struct content_flags {
	bool bare_lf;	       /* LF without CR before it: the message is refused (S2) */
	bool bare_cr;	       /* CR without LF behind it: refused too */
	bool nul;	       /* a NUL octet; passes */
	bool eight_bit;	       /* an octet over 127 anywhere */
	bool eight_bit_header; /* ... in the header block; set by who finds its end */
	bool long_line;	       /* a line over CONTENT_LINE_MAX octets, CRLF not counted */
	bool needs_stuffing;   /* a line begins with a dot */
	bool no_final_crlf;    /* never by DATA */
};

enum { CONTENT_LINE_MAX = 998 }; /* RFC 5321 4.5.3.1.6, RFC 5322 2.1.1 */

/* Bare LFs and CRs were made CRLF. Behind any of them a line may begin with a dot now that was none
 * while it was received, and such a line sent as it lies would end the content. */
void content_flags_normalized(struct content_flags *f);
/* As one number, for records and for the disk: bit 0 is bare_lf, then in the order above. */
uint32_t content_flags_pack(const struct content_flags *f);
struct content_flags content_flags_unpack(uint32_t bits);

#endif
