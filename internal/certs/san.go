package certs

import (
	"crypto/x509/pkix"
	"encoding/asn1"

	"github.com/videoactivmail/vam/internal/discovery"
)

// Tags of GeneralName (RFC 5280 section 4.2.1.6).
const (
	tagOtherName = 0
	tagDNSName   = 2
	tagIPAddress = 7
)

// subjectAltName writes all names of l into one extension.
func subjectAltName(l Leaf) (pkix.Extension, error) {
	var names []asn1.RawValue
	for _, n := range l.DNSNames {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagDNSName, Bytes: []byte(n)})
	}
	for _, a := range l.IPs {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagIPAddress, Bytes: a.AsSlice()})
	}
	for _, d := range l.SRV {
		name, err := srvID(discovery.SRVID(d))
		if err != nil {
			return pkix.Extension{}, err
		}
		names = append(names, name)
	}
	der, err := asn1.Marshal(names)
	return pkix.Extension{Id: discovery.OIDSubjectAltName(), Value: der}, err
}

// srvID writes otherName [0] { id-on-dnsSRV, [0] EXPLICIT IA5String } (RFC 4985
// section 2).
func srvID(id string) (asn1.RawValue, error) {
	text, err := asn1.MarshalWithParams(id, "ia5")
	if err != nil {
		return asn1.RawValue{}, err
	}
	wrapped, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: text})
	if err != nil {
		return asn1.RawValue{}, err
	}
	oid, err := asn1.Marshal(discovery.OIDDNSSRV())
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagOtherName, IsCompound: true, Bytes: append(oid, wrapped...)}, err
}
