// iasl version 20200925 (64-bit version)

[000h 0000   4]                    Signature : "XSDT"    [Extended System Description Table]
[004h 0004   4]                 Table Length : 00000054
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : B2
[00Ah 0010   6]                       Oem ID : "BERTH "
[010h 0016   8]                 Oem Table ID : "Q35     "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BRTH"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   8]       ACPI Table Address   0 : 00000000000E1C78
[02Ch 0044   8]       ACPI Table Address   1 : 00000000000E1D90
[034h 0052   8]       ACPI Table Address   2 : 00000000000E1E18
[03Ch 0060   8]       ACPI Table Address   3 : 00000000000E1E58
[044h 0068   8]       ACPI Table Address   4 : 00000000000E1E90
[04Ch 0076   8]       ACPI Table Address   5 : 00000000000E1F88

Raw Table Data: Length 84 (0x54)

    0000: 58 53 44 54 54 00 00 00 01 B2 42 45 52 54 48 20  // XSDTT.....BERTH 
    0010: 51 33 35 20 20 20 20 20 01 00 00 00 42 52 54 48  // Q35     ....BRTH
    0020: 01 00 00 00 78 1C 0E 00 00 00 00 00 90 1D 0E 00  // ....x...........
    0030: 00 00 00 00 18 1E 0E 00 00 00 00 00 58 1E 0E 00  // ............X...
    0040: 00 00 00 00 90 1E 0E 00 00 00 00 00 88 1F 0E 00  // ................
    0050: 00 00 00 00                                      // ....
