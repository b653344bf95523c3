"""A shop's files and messages, as Tidegate's events.

The pure parts know no file and no clock: numbers, texts and lines in, events out.

    cells, times          one value as shops write it
    guessing              what a file is and what its columns are, found out or asked
    mapping, mapping_text, mapped
                          mapping files; one record by a mapping
    packed                order lines that a plug-in packed into cells
    ledger, lines         absolute numbers of order lines -> what is new in them
    shops                 messages of shops and databases -> what they say -> checked events
    presets, templates    kinds of files, their defaults, files to fill in

    files, encodings, json_values
                          a file of any form -> rows
    reading, sorting      rows -> checked records, in the order of time
    intake                one file, ready to be read
    assumed               costs, lead times and opening stock that `try` makes up
    faults                what was refused
"""
