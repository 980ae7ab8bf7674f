"""A real S3 server on a loopback port, for tests. It needs moto with its server.

It prints one line {"port": N, "id": …, "secret": …} once it serves, with a key pair that may do everything in S3, and takes
orders on standard input, one JSON object a line, each answered by one line. It ends when its standard input is closed.

With --auth, signatures and rights are checked from then on; without, any key pair may do everything.

  {"do": "bucket", "bucket": B, "region": R, "lock": bool}   makes a bucket
  {"do": "versioning", "bucket": B, "on": bool}              says whether versions are kept
  {"do": "list", "bucket": B}                                {key: length}
  {"do": "sum", "bucket": B, "key": K}                       SHA-256 in hex
  {"do": "put", "bucket": B, "key": K, "text": T}            writes an object
  {"do": "damage", "bucket": B, "key": K}                    flips a bit in the middle of an object
  {"do": "remove", "bucket": B, "key": K}                    removes an object
  {"do": "uploads", "bucket": B}                             {key: number of parts} of uploads that were not ended
"""

import argparse
import hashlib
import json
import logging
import sys
import warnings

import boto3
from moto import settings
from moto.backends import get_backend
from moto.server import ThreadedMotoServer

ACCOUNT = "123456789012"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--auth", action="store_true", help="check signatures and rights")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "AKIDANYBODY", "aws_secret_access_key": "anything", "region_name": "ap-northeast-1"}
    iam = boto3.client("iam", endpoint_url=endpoint, **keys)
    iam.create_user(UserName="workrun")
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="workrun", PolicyName="all", PolicyDocument=json.dumps(may))
    pair = iam.create_access_key(UserName="workrun")["AccessKey"]
    keys.update(aws_access_key_id=pair["AccessKeyId"], aws_secret_access_key=pair["SecretAccessKey"])
    s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
    if args.auth:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    print(json.dumps({"port": port, "id": pair["AccessKeyId"], "secret": pair["SecretAccessKey"]}), flush=True)

    def bucket(name):
        return get_backend("s3")[ACCOUNT]["aws"].buckets[name]

    def do(order):
        what, name, key = order["do"], order.get("bucket"), order.get("key")
        if what == "bucket":
            where = {"LocationConstraint": order["region"]}
            s3.create_bucket(
                Bucket=name, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=order.get("lock", False)
            )
        elif what == "versioning":
            status = "Enabled" if order["on"] else "Suspended"
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
        elif what == "list":
            return {key: len(one.value) for key, one in bucket(name).keys.items()}
        elif what == "sum":
            return hashlib.sha256(bucket(name).keys[key].value).hexdigest()
        elif what == "put":
            s3.put_object(Bucket=name, Key=key, Body=order["text"].encode())
        elif what == "damage":
            one = bucket(name).keys[key]
            content = bytearray(one.value)
            content[len(content) // 2] ^= 1
            one.value = bytes(content)
        elif what == "remove":
            s3.delete_object(Bucket=name, Key=key)
        elif what == "uploads":
            return {one.key_name: len(one.parts) for one in bucket(name).multiparts.values()}
        else:
            raise ValueError(what)
        return True

    for line in sys.stdin:
        try:
            answer = {"ok": do(json.loads(line))}
        except Exception as error:  # Whatever it is, the test that asked is to see it.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
