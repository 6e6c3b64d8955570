"""Runs on a node in our own environment: writes numbered rows as fast as they are acknowledged, and says which were.

Words: socket, name of the writer. Standard library and PyMySQL only; the test sends this very text.
"""

import sys
import time

import pymysql

SOCKET, NAME = sys.argv[1:]


def main() -> None:
    connection, number = None, 0
    while True:
        try:
            if connection is None:
                connection = pymysql.connect(unix_socket=SOCKET, user="root", autocommit=True, read_timeout=5)
            with connection.cursor() as cursor:
                cursor.execute("INSERT IGNORE INTO test.written VALUES (%s, %s)", (NAME, number))
        except (pymysql.MySQLError, OSError):
            connection = None
            time.sleep(0.05)
            continue
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


main()
