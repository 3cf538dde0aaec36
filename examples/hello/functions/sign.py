"""Signs a greeting, as an OpenFaaS handler: text in, text out."""

import json
import os


def handle(req):
    message = json.loads(req)
    message["from"] = os.environ["SIGNATURE"]
    return json.dumps(message)
