"""Verifies and signs mails with dkimpy, and reads them with the email package.

Reads one JSON object from standard input and writes one to standard output:
  {"zone": {"name": "text"}, "verify": [b64 mail],
   "sign": [{"mail": b64, "selector": s, "domain": d, "alg": a, "key": text}]}
  {"verified": [{"results": [bool], "fields": n, "from": s, "subject": s, "text": s}],
   "signed": [b64 mail]}
"""

import base64
import email
import email.policy
import json
import sys

import dkim

FIELDS = [
    b"from", b"from", b"to", b"to", b"subject", b"subject", b"date", b"date", b"message-id", b"message-id",
    b"message-context", b"message-context", b"vam-message", b"vam-message", b"mime-version", b"mime-version",
    b"content-type", b"content-type", b"content-transfer-encoding", b"content-transfer-encoding",
]


def verify(raw, zone):
    def lookup(name, timeout=5):
        return zone.get(name.decode().rstrip(".").lower())

    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    results = []
    for index in range(len(message.get_all("DKIM-Signature", []))):
        try:
            results.append(dkim.DKIM(raw).verify(idx=index, dnsfunc=lookup))
        except dkim.DKIMException:
            results.append(False)
    return {
        "results": results,
        "fields": len(message.items()),
        "from": message["From"].addresses[0].addr_spec,
        "subject": str(message["Subject"]),
        "text": message.get_content(),
    }


def sign(job):
    raw = base64.b64decode(job["mail"])
    signature = dkim.sign(
        raw,
        job["selector"].encode(),
        job["domain"].encode(),
        job["key"].encode(),
        signature_algorithm=job["alg"].encode(),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=FIELDS,
    )
    return base64.b64encode(signature + raw).decode()


def main():
    job = json.load(sys.stdin)
    zone = {name: text.encode() for name, text in job["zone"].items()}
    json.dump(
        {
            "verified": [verify(base64.b64decode(m), zone) for m in job.get("verify") or []],
            "signed": [sign(s) for s in job.get("sign") or []],
        },
        sys.stdout,
    )


main()
